//! Pure kernels, one file per family. They see samples of one window or values of one step and know neither storage nor plan.

pub mod coarse;
pub mod exponent;
pub mod float;
pub mod format;
pub mod histogram;
pub mod histogram_classic;
pub mod log_range;
pub mod power;
pub mod ranking;
pub mod time;
pub mod trigonometry;
pub mod window;
