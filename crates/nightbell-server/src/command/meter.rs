/*!
[`Meter`]: how far a backup or a restore is: a bar on a terminal, elsewhere a line for each fifth.
*/

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};
use nightbell_store::backup::{Phase, Progress};

/// Shows progress on standard error.
#[derive(Default)]
pub(super) struct Meter {
    phase: Option<Phase>,
    bar: Option<ProgressBar>,
    fifth: Option<u64>,
}

impl Meter {
    /// Shows how far it is.
    pub(super) fn show(&mut self, progress: Progress) {
        let Progress { phase, done, total } = progress;
        if Some(phase) != self.phase {
            self.clear();
            (self.phase, self.fifth) = (Some(phase), None);
        }
        if std::io::stderr().is_terminal() {
            let bar = self.bar.get_or_insert_with(|| bar(phase));
            bar.set_length(total);
            bar.set_position(done);
            return;
        }
        let fifth = done.saturating_mul(5).checked_div(total).unwrap_or(0);
        if self.fifth.is_none_or(|told| told < fifth) {
            self.fifth = Some(fifth);
            tell(phase, fifth * 20);
        }
    }

    /// Takes the bar away.
    pub(super) fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn bar(phase: Phase) -> ProgressBar {
    let counted = match phase {
        Phase::Store | Phase::Archive | Phase::Restoring => "{decimal_bytes} of {decimal_total_bytes}",
        Phase::Checking | Phase::Verifying => "{human_pos} of {human_len}",
    };
    let style = ProgressStyle::with_template(&format!("{} {{wide_bar}} {counted} {{eta}}", words(phase)));
    ProgressBar::no_length().with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn words(phase: Phase) -> &'static str {
    match phase {
        Phase::Store => "copying the store",
        Phase::Archive => "copying the archive",
        Phase::Checking => "checking files",
        Phase::Restoring => "writing files",
        Phase::Verifying => "reading what was written",
    }
}

#[allow(clippy::print_stderr)] // this is where the terminal is spoken to
fn tell(phase: Phase, percent: u64) {
    eprintln!("{}: {percent} %", words(phase));
}
