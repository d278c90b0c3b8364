use serde::{Deserialize, Serialize};

/// What came of one try.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tried {
    /// Rows of clickstream that went through.
    pub events: u64,
    /// Times the fault was brought about: kills, stops, held requests.
    pub faults: u64,
    /// Of these, workers that were killed by SIGKILL while there was work.
    pub kills: u64,
    /// Committed outputs of an undisturbed run that were not there.
    pub lost: u64,
    /// Committed outputs that were there once more.
    pub doubled: u64,
    /// The longest time from a fault's end to the next commit of who was hit, in milliseconds.
    pub recovery_ms: u64,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// What else was measured.
    pub remark: String,
    /// Figures of the row that were not met, in words.
    pub short: Vec<String>,
    /// What this machine does not allow, so that there was no try at all.
    pub barred: Option<String>,
    /// What must never be, in words.
    pub violation: Option<String>,
}

impl Tried {
    /// No try: it needs this.
    pub(crate) fn barred(need: &str) -> Self {
        Self { barred: Some(format!("it needs {need}")), ..Self::default() }
    }

    /// Whether it shows what a guard that was taken away is for.
    #[must_use]
    pub fn bites(&self) -> bool {
        self.lost + self.doubled > 0
    }

    /// A recovery took so long, where `most` is allowed; milliseconds.
    pub(crate) fn recovered(&mut self, took: u64, most: u64) {
        self.recovery_ms = self.recovery_ms.max(took);
        if took > most {
            self.short.push(format!("{took} ms instead of {most} ms"));
        }
    }

    /// Notes a figure that was not met, unless it was.
    pub(crate) fn meets(&mut self, met: bool, otherwise: impl FnOnce() -> String) {
        if !met {
            self.short.push(otherwise());
        }
    }

    /// Notes what must never be, unless all is well.
    pub(crate) fn holds(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.violation.get_or_insert_with(otherwise);
        }
    }

    /// Adds a remark.
    pub(crate) fn remark(&mut self, text: impl AsRef<str>) {
        if !self.remark.is_empty() {
            self.remark.push_str("; ");
        }
        self.remark.push_str(text.as_ref());
    }
}
