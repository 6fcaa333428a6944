//! Bounds of the format, each with its reason.

/// Rows of a Parquet row group of metrics (S3).
pub const METRIC_ROWS_PER_GROUP: usize = 1 << 20;
/// Rows of a Parquet row group of windows: about 160 bytes each while it is written.
pub const WINDOW_ROWS_PER_GROUP: usize = 1 << 17;
/// Rows of a Parquet row group of logs: few streams, short time, about 13 MB of lines.
pub const LOG_ROWS_PER_GROUP: usize = 1 << 16;
/// Bytes of lines in a row group of logs (S3).
pub const LOG_BYTES_PER_GROUP: usize = 64 << 20;
/// Rows of a page: one series is read by decoding one or two pages of each column.
pub const ROWS_PER_PAGE: usize = 16_384;
/// Rows of a page of windows: fewer, since a series has 288 or 24 a day.
pub const WINDOW_ROWS_PER_PAGE: usize = 4_096;
/// Rows of a page where larger ones compress much better: values that zstd copies, which it does fast.
pub const ROWS_PER_COARSE_PAGE: usize = 65_536;
/// Bytes of texts in a page: what a reader of a few lines decompresses.
pub const TEXT_BYTES_PER_PAGE: usize = 1 << 20;
/// Rows that a template has at least in its row group; lines of rarer ones are kept whole, where zstd sees what they share.
pub const ROWS_PER_TEMPLATE_MIN: usize = 4;
/// Label columns of a Parquet file (S3); the rest is in a map.
pub const LABEL_COLUMNS_MAX: usize = 64;
/// Columns of structured metadata in a Parquet file; the rest is in a map.
pub const METADATA_COLUMNS_MAX: usize = 32;
/// Values of `detected_level` that a segment counts apart: Loki detects nine, and clients may send their own.
pub const LEVELS_MAX: usize = 16;
/// Bytes of one decompressed frame: what a reader is ready to allocate for one checksummed part.
pub const FRAME_BYTES_MAX: usize = 1 << 30;
/// Series or streams of one segment: ordinals are 32 bits, and the table has to fit into memory.
pub const SERIES_MAX: usize = 1 << 26;
