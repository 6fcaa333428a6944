//! A bar on standard error while something takes long, and only where a person looks at it.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over known work.
#[derive(Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// Makes a bar over `len` things; what they are is said by `what`, such as `segments`.
    ///
    /// It is drawn only on a terminal (indicatif looks at standard error itself), so that logs and pipes stay clean.
    pub fn new(what: &'static str, len: u64) -> Progress {
        let bar = ProgressBar::new(len);
        let template = "{msg} {wide_bar} {pos}/{len} {eta}";
        bar.set_style(ProgressStyle::with_template(template).expect("the template is one of indicatif's"));
        bar.set_message(what);
        Progress(bar)
    }

    /// So many are done.
    pub fn reach(&self, done: u64) {
        self.0.set_position(done);
    }

    /// One more is done.
    pub fn step(&self) {
        self.0.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
