//! Texts of lines that a row group calls hexadecimal are: queries that look for other letters do not look at them.

use std::ops::Range;

use model::batch::Arena;

use crate::SegmentError;
use crate::fetched::Fetched;
use crate::logs::{Chunk, EntryColumns, Index, Projection, RowVariables, Verdict, Wanted};
use crate::template::{Part, Template};

/// Counts the lines of a chunk that have another byte in a text that is called hexadecimal.
pub(super) fn count_others(index: &Index, chunk: &Chunk, fetched: &Fetched) -> Result<u64, SegmentError> {
    let mut claims = Claims::default();
    index.decode_wanted(chunk, Projection::ALL, &mut claims, fetched)?;
    Ok(claims.others)
}

/// Wants no row, but looks at the texts of each.
#[derive(Default)]
struct Claims {
    /// By template, the columns that are called hexadecimal.
    columns: Vec<Vec<usize>>,
    others: u64,
}

impl Wanted for Claims {
    fn by_time(&mut self, columns: &EntryColumns, rows: &mut Vec<u32>) {
        rows.extend(0..columns.timestamps.len() as u32);
    }

    fn asks_lines(&self) -> bool {
        true
    }

    fn template(&mut self, template: &Template) -> Verdict {
        let hex = |part: &Part| if let Part::Hex(column) = part { Some(*column) } else { None };
        self.columns.push(template.parts().iter().filter_map(hex).collect());
        if self.columns.last().is_some_and(|columns| columns.is_empty()) { Verdict::Never } else { Verdict::Texts }
    }

    fn variables(&mut self, template: usize, variables: &RowVariables<'_>) -> Option<bool> {
        let is_hex = |text: &[u8]| text.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-');
        let as_claimed = self.columns[template].iter().all(|column| is_hex(variables.text(*column)));
        self.others += u64::from(!as_claimed);
        Some(false)
    }

    fn line(&mut self, _: &[u8]) -> bool {
        false
    }

    fn lines(&mut self, _: &Arena, _: Range<usize>, _: &mut Vec<u32>) {}

    fn excerpt(&mut self, _: &Template) -> Option<Template> {
        None
    }

    fn last(&mut self, _: &EntryColumns, _: &mut Vec<u32>) {}
}

#[cfg(test)]
mod tests {
    use model::{LabelSet, LogBatch, TenantId, TimeRangeNs, TimestampNs};

    use super::*;
    use crate::l0;
    use crate::merge::{self, MergeOptions};

    #[test]
    fn a_text_that_is_not_what_it_is_called_is_counted() {
        let mut batch = LogBatch::default();
        batch.start_stream(|out| out.extend_from_slice(LabelSet::from_pairs([("app", "web")]).encoded()));
        for row in 0..50i64 {
            let who = if row % 10 == 0 { "guest-of-honour-0123456789xyz" } else { "00112233445566778899aabb" };
            let line = format!("trace={row:032x} user={who}");
            batch.push_entry(TimestampNs(row), line.as_bytes(), LabelSet::empty().encoded());
        }
        let block = l0::encode_logs(&TenantId::anonymous(), &batch).unwrap();
        let mut merged = Vec::new();
        merge::logs(std::slice::from_ref(&block.bytes), &MergeOptions::default(), &mut |output| merged.push(output)).unwrap();
        let object = merged.remove(0).bytes;
        let mut index = Index::open(&object).unwrap();
        let range = TimeRangeNs { start: TimestampNs(0), end: TimestampNs(50) };
        let chunks = index.chunks(&index.all(), range, &[]);
        let count = |index: &Index| count_others(index, &chunks[0], &Fetched::whole(object.clone())).unwrap();
        assert_eq!(count(&index), 0);
        index.claim_hex_texts(u8::MAX);
        assert_eq!(count(&index), 5);
    }
}
