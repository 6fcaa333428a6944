//! A plain HTTP client that retries what may be retried.

use std::time::Duration;

use anyhow::{Result, bail};

/// Sends prepared bodies to one URL.
pub struct Client {
    agent: ureq::Agent,
    url: String,
    headers: Vec<(&'static str, &'static str)>,
}

/// Attempts per request; a server under load answers 429 or 503 and means it.
const ATTEMPTS: u32 = 8;

impl Client {
    /// Makes a client for `url` with fixed headers.
    pub fn new(url: String, headers: Vec<(&'static str, &'static str)>) -> Client {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(120)))
            .build()
            .into();
        Client { agent, url, headers }
    }

    /// Posts one body; anything but a 2xx after the last attempt is an error.
    pub fn post(&self, body: &[u8]) -> Result<()> {
        let mut last = String::new();
        for attempt in 0..ATTEMPTS {
            let answer = self.post_once(body)?;
            if answer.is_success() {
                return Ok(());
            }
            last = format!("{}: {}", answer.status, answer.text);
            if !answer.may_be_retried() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50 << attempt));
        }
        bail!("{} answered {last}", self.url)
    }

    /// Posts one body once; an error where no whole answer came.
    pub fn post_once(&self, body: &[u8]) -> Result<Answer> {
        let mut request = self.agent.post(&self.url);
        for (name, value) in &self.headers {
            request = request.header(*name, *value);
        }
        let mut response = request.send(body)?;
        let status = response.status().as_u16();
        Ok(Answer { status, text: response.body_mut().read_to_string()? })
    }
}

/// What a server said.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Body.
    pub text: String,
}

impl Answer {
    /// Reports whether the request was done.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Reports whether the same request may succeed later.
    pub fn may_be_retried(&self) -> bool {
        self.status == 429 || self.status >= 500
    }
}
