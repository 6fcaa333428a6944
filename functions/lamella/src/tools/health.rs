//! `lamella health`: whether a server answers, for container health checks where no curl is.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use super::output;

/// Who is asked.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// The server.
    #[arg(long, default_value = "http://127.0.0.1:9009")]
    pub url: String,
}

/// Asks `/ready`; ends with 0 where the server is.
pub async fn run(options: &Options) -> Result<ExitCode> {
    output::print(&boot::fetch::get(&options.url, "/ready", &[]).await?)?;
    Ok(ExitCode::SUCCESS)
}
