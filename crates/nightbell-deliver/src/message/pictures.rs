/*!
Pictures that were drawn lately: a message to many subscribers shows one chart, which is drawn once.

Knows charts only. Equal charts have equal pictures, so whether one was kept changes no mail.
*/

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::chart::{self, Chart, ChartError};

/// Pictures kept; one has some 20 kB.
pub const PICTURES_MAX: usize = 16;
/// Pixels of a picture for each CSS pixel: sharp on telephones and on most screens.
const SCALE: f32 = 2.0;

/// Pictures that were drawn lately.
#[derive(Debug, Default)]
pub struct Pictures {
    recent: Mutex<VecDeque<(Chart, Vec<u8>)>>,
}

impl Pictures {
    /// The chart as PNG. One is drawn at a time, so that many alarms at once leave the other processors to what comes
    /// in.
    pub(super) fn png(&self, chart: &Chart) -> Result<Vec<u8>, ChartError> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, png)) = recent.iter().find(|(drawn, _)| drawn == chart) {
            return Ok(png.clone());
        }
        let png = draw(chart)?;
        recent.truncate(PICTURES_MAX - 1);
        recent.push_front((chart.clone(), png.clone()));
        Ok(png)
    }
}

/// The chart as PNG, drawn anew.
pub(super) fn draw(chart: &Chart) -> Result<Vec<u8>, ChartError> {
    chart::png(chart, SCALE)
}

#[cfg(test)]
mod tests {
    use nightbell_core::time::Timestamp;

    use super::*;
    use crate::chart::Breach;

    fn chart(n: u32) -> Chart {
        Chart {
            title: "Sum".to_owned(),
            unit: "1 min".to_owned(),
            points: (0..3).map(|i| (Timestamp::from_seconds(i * 60), f64::from(n))).collect(),
            threshold: Some(5.0),
            band: None,
            breach: Breach::Over,
            fired_at: None,
            period_s: 60,
            accent: (1, 2, 3),
        }
    }

    #[test]
    fn the_latest_are_kept_and_each_is_its_own() {
        let pictures = Pictures::default();
        let kept =
            || pictures.recent.lock().unwrap().iter().map(|(chart, _)| chart.clone()).collect::<Vec<_>>();
        assert_eq!(pictures.png(&chart(6)).unwrap(), draw(&chart(6)).unwrap());
        assert_eq!(pictures.png(&chart(7)).unwrap(), draw(&chart(7)).unwrap());
        assert_ne!(pictures.png(&chart(6)).unwrap(), pictures.png(&chart(7)).unwrap());
        assert_eq!(kept(), [chart(7), chart(6)], "asked for twice, drawn once");
        for n in 0..PICTURES_MAX as u32 {
            pictures.png(&chart(100 + n)).unwrap();
        }
        assert_eq!(kept().len(), PICTURES_MAX);
        assert!(!kept().contains(&chart(7)));
    }
}
