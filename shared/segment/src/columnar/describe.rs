//! Row groups and columns of a file, for `inspect`.

use super::Layout;
use super::pages::locations;
use crate::inspect::{Column, RowGroup};

impl Layout {
    pub(crate) fn describe_groups(&self) -> Vec<RowGroup> {
        let groups = self.metadata.row_groups().iter().enumerate();
        groups
            .map(|(group, metadata)| RowGroup {
                rows: metadata.num_rows() as u64,
                bytes: metadata.columns().iter().map(|column| column.byte_range().1).sum(),
                times: self.group_times(group),
            })
            .collect()
    }

    pub(crate) fn describe_columns(&self) -> Vec<Column> {
        let schema = self.metadata.file_metadata().schema_descr();
        let columns = schema.columns().iter().enumerate();
        columns
            .map(|(index, descr)| {
                let mut column = Column {
                    path: descr.path().string(),
                    physical: descr.physical_type().to_string(),
                    encodings: Vec::new(),
                    pages: 0,
                    bytes: 0,
                    uncompressed_bytes: 0,
                };
                for (group, metadata) in self.metadata.row_groups().iter().enumerate() {
                    let chunk = metadata.column(index);
                    column.encodings.extend(chunk.encodings().map(|encoding| encoding.to_string()));
                    column.pages += locations(&self.metadata, group, index).len() as u64;
                    column.bytes += chunk.byte_range().1;
                    column.uncompressed_bytes += u64::try_from(chunk.uncompressed_size()).unwrap_or(0);
                }
                column.encodings.sort_unstable();
                column.encodings.dedup();
                column
            })
            .collect()
    }
}
