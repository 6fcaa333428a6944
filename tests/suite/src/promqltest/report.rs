//! Counts and failures of one file.

/// A case that failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// 1-based line of the case.
    pub line: usize,
    /// Its query.
    pub query: String,
    /// What was expected and what came.
    pub why: String,
}

/// The outcome of one file.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Its name.
    pub name: String,
    /// Cases passed.
    pub passed: usize,
    /// Cases failed, in order.
    pub failures: Vec<Failure>,
}

impl Report {
    /// Starts the report of a file.
    pub fn new(name: impl Into<String>) -> Report {
        Report { name: name.into(), ..Report::default() }
    }

    /// Counts one case.
    pub fn add(&mut self, line: usize, query: &str, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => self.passed += 1,
            Err(why) => self.failures.push(Failure { line, query: query.to_owned(), why }),
        }
    }

    /// Prints the file's line, and the failures if asked.
    pub fn print(&self, with_failures: bool) {
        println!("{} {} passed {} failed", self.name, self.passed, self.failures.len());
        for failure in self.failures.iter().filter(|_| with_failures) {
            println!("{failure}");
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "  line {}: {}\n    {}", self.line, self.query, self.why.replace('\n', "\n    "))
    }
}
