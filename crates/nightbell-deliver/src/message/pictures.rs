/*!
How a drawing comes into a mail, and pictures that were drawn lately: a message to many subscribers shows one drawing,
which is drawn once.

Equal drawings have equal pictures, so whether one was kept changes no mail.
*/

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::Attachment;
use super::alarm::Setting;
use super::page::Picture;
use crate::chart::{ChartError, Drawing};

/// Pictures kept; one has some 20 kB.
pub const PICTURES_MAX: usize = 16;
/// Pixels of a picture for each CSS pixel: sharp on telephones and on most screens.
const SCALE: f32 = 2.0;
/// Blocks of the picture in the text part.
const SPARKLINE_CHARS_MAX: usize = 48;

/// Pictures that were drawn lately.
#[derive(Debug, Default)]
pub struct Pictures {
    recent: Mutex<VecDeque<(Drawing, Vec<u8>)>>,
}

impl Pictures {
    /// The drawing as PNG. One is drawn at a time, so that many alarms at once leave the other processors to what comes
    /// in.
    fn png(&self, drawing: &Drawing) -> Result<Vec<u8>, ChartError> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, png)) = recent.iter().find(|(drawn, _)| drawn == drawing) {
            return Ok(png.clone());
        }
        let png = drawing.png(SCALE)?;
        recent.truncate(PICTURES_MAX - 1);
        recent.push_front((drawing.clone(), png.clone()));
        Ok(png)
    }
}

/// `drawing` as a mail shows it, and the file that travels with it; in words alone where it can't be drawn.
pub(super) fn shown(
    drawing: Option<&Drawing>,
    setting: &Setting<'_>,
) -> (Option<Picture>, Option<Attachment>) {
    let Some(drawing) = drawing else { return (None, None) };
    let png = match setting.pictures {
        Some(pictures) => pictures.png(drawing).ok(),
        None => drawing.png(SCALE).ok(),
    };
    let picture = Picture {
        cid: if png.is_some() { setting.content_id.to_owned() } else { String::new() },
        alt: drawing.alt(),
        sparkline: drawing.sparkline(SPARKLINE_CHARS_MAX),
    };
    (Some(picture), png.map(|png| Attachment::picture(setting.content_id, png)))
}

#[cfg(test)]
mod tests {
    use nightbell_core::time::Timestamp;

    use super::*;
    use crate::chart::{Breach, Chart};

    fn chart(n: u32) -> Drawing {
        Drawing::Chart(Chart {
            title: "Sum".to_owned(),
            unit: "1 min".to_owned(),
            points: (0..3).map(|i| (Timestamp::from_seconds(i * 60), f64::from(n))).collect(),
            threshold: Some(5.0),
            band: None,
            breach: Breach::Over,
            fired_at: None,
            marks: Vec::new(),
            period_s: 60,
            accent: (1, 2, 3),
        })
    }

    #[test]
    fn the_latest_are_kept_and_each_is_its_own() {
        let pictures = Pictures::default();
        let kept =
            || pictures.recent.lock().unwrap().iter().map(|(chart, _)| chart.clone()).collect::<Vec<_>>();
        assert_eq!(pictures.png(&chart(6)).unwrap(), chart(6).png(SCALE).unwrap());
        assert_eq!(pictures.png(&chart(7)).unwrap(), chart(7).png(SCALE).unwrap());
        assert_ne!(pictures.png(&chart(6)).unwrap(), pictures.png(&chart(7)).unwrap());
        assert_eq!(kept(), [chart(7), chart(6)], "asked for twice, drawn once");
        for n in 0..PICTURES_MAX as u32 {
            pictures.png(&chart(100 + n)).unwrap();
        }
        assert_eq!(kept().len(), PICTURES_MAX);
        assert!(!kept().contains(&chart(7)));
    }
}
