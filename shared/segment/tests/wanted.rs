//! Decoding the rows that are wanted gives what decoding all of them and choosing gives, whatever is asked on the way.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use model::batch::Arena;
use model::{LabelSet, LogBatch, TenantId, TimeRangeNs, TimestampNs};
use segment::logs::{EntryColumns, Index, Projection, RowVariables, Verdict, Wanted};
use segment::template::{Part, Template};
use segment::{Fetched, l0, merge};

const ALL: TimeRangeNs = TimeRangeNs { start: TimestampNs(i64::MIN), end: TimestampNs(i64::MAX) };
const EVERYTHING: Projection = Projection { lines: true, line_lens: true, metadata: true };

/// Wants a part of all lines, chosen by what they say; asks in every way there is.
struct Some7th {
    modulus: u64,
    templates: Vec<Template>,
    asked: Counts,
    /// Texts met by what is known of their column.
    texts: Counts,
}

fn number_of(line: &[u8]) -> u64 {
    line.iter().fold(17u64, |number, byte| number.wrapping_mul(31).wrapping_add(u64::from(*byte)))
}

impl Some7th {
    fn wants(&self, line: &[u8]) -> bool {
        number_of(line).is_multiple_of(self.modulus)
    }

    fn count(&mut self, what: &'static str) {
        *self.asked.entry(what).or_default() += 1;
    }
}

impl Wanted for Some7th {
    fn by_time(&mut self, columns: &EntryColumns, rows: &mut Vec<u32>) {
        rows.extend((0..columns.timestamps.len() as u32).filter(|row| columns.timestamps[*row as usize] % 5 != 3));
    }

    fn asks_lines(&self) -> bool {
        true
    }

    fn template(&mut self, template: &Template) -> Verdict {
        self.templates.push(template.clone());
        let is_constant = template.parts().iter().all(|part| matches!(part, Part::Constant(_)));
        let has_numbers = template.parts().iter().any(|part| matches!(part, Part::Number(_)));
        match self.templates.len() % 3 {
            _ if is_constant && self.wants(&put(template, None)) => Verdict::Always,
            _ if is_constant => Verdict::Never,
            0 => Verdict::Line,
            _ if has_numbers => Verdict::Variables,
            _ => Verdict::Texts,
        }
    }

    fn variables(&mut self, template: usize, variables: &RowVariables<'_>) -> Option<bool> {
        self.count("variables");
        for part in self.templates[template].parts() {
            match part {
                Part::Text(column) if variables.text(*column).contains(&b'q') => *self.texts.entry("other").or_default() += 1,
                Part::Hex(column) => {
                    assert!(variables.text(*column).iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-'));
                    *self.texts.entry("hex").or_default() += 1;
                }
                _ => {}
            }
        }
        let line = put(&self.templates[template], Some(variables));
        (!line.len().is_multiple_of(4)).then(|| self.wants(&line))
    }

    fn line(&mut self, line: &[u8]) -> bool {
        self.count("line");
        self.wants(line)
    }

    fn lines(&mut self, lines: &Arena, rows: Range<usize>, out: &mut Vec<u32>) {
        self.count("lines");
        out.extend(rows.filter(|row| self.wants(lines.get(*row))).map(|row| row as u32));
    }

    fn excerpt(&mut self, _: &Template) -> Option<Template> {
        None
    }

    fn last(&mut self, columns: &EntryColumns, rows: &mut Vec<u32>) {
        rows.retain(|row| columns.timestamps[*row as usize] % 7 != 2);
    }
}

fn put(template: &Template, variables: Option<&RowVariables<'_>>) -> Vec<u8> {
    let mut line = Vec::new();
    for part in template.parts() {
        match part {
            Part::Constant(bytes) => line.extend_from_slice(bytes),
            Part::Number(column) => variables.unwrap().put_digits(*column, &mut line),
            Part::Text(column) | Part::Hex(column) | Part::Rest(column) => {
                line.extend_from_slice(variables.unwrap().text(*column))
            }
        }
    }
    line
}

/// Three streams whose lines are of a few templates, of none, long, empty; some with metadata, frequent and rare.
fn batch(utf8: bool) -> LogBatch {
    let mut batch = LogBatch::default();
    for stream in 0..3u64 {
        let labels = LabelSet::from_pairs([("app", format!("app-{stream}").as_str())]);
        batch.start_stream(|out| out.extend_from_slice(labels.encoded()));
        for at in 0..4000u64 {
            let n = number_of(&(at * 3 + stream).to_le_bytes());
            let line = match n % 11 {
                0..4 => format!("took={}ms trace={:032x} user-{:05} id=q{n:08x}s7q", n % 900, n as u128 * 77, n % 70_000),
                4..6 => format!("only 12 numbers {} and {}", n % 5, n % 13),
                6 => format!("only text {:x}abcdef0123456789", n),
                7 => "a constant line".to_owned(),
                8 => String::new(),
                9 => (0..30).map(|i| format!("{} ", n % (i + 2))).collect(),
                _ => "rare ".repeat((n % 5_003) as usize % 9) + &format!("x{}y", "z".repeat(n as usize % 701)),
            };
            let mut line = line.into_bytes();
            if !utf8 && at % 1000 == 7 {
                line.push(0xff);
            }
            let rare = format!("{n:x}");
            let metadata = match n % 4 {
                0 => LabelSet::empty(),
                1 => LabelSet::from_pairs([("detected_level", "info")]),
                2 => LabelSet::from_pairs([("detected_level", "error"), ("trace_id", rare.as_str())]),
                _ => LabelSet::from_pairs([("detected_level", "warn"), (format!("key_{}", n % 400).as_str(), "v")]),
            };
            batch.push_entry(TimestampNs(at as i64 * 10 + (n % 9) as i64), &line, metadata.encoded());
        }
    }
    batch
}

type Counts = BTreeMap<&'static str, usize>;

/// Returns what was asked; adds the texts met to `texts`.
fn check(object: &Bytes, streams: &[usize], texts: &mut Counts) -> Counts {
    let index = Index::open(object).unwrap();
    let fetched = Fetched::whole(object.clone());
    let mut asked = Counts::new();
    let entries = index.all();
    let entries: Vec<_> = streams.iter().map(|stream| entries[*stream].clone()).collect();
    for modulus in [1, 2, 7, 300] {
        for chunk in index.chunks(&entries, ALL, &[]) {
            let all = index.decode(&chunk, EVERYTHING, &fetched).unwrap();
            let mut wanted = Some7th { modulus, templates: Vec::new(), asked: Counts::new(), texts: Counts::new() };
            let found = index.decode_wanted(&chunk, EVERYTHING, &mut wanted, &fetched).unwrap();
            let said = |columns: &EntryColumns, run: &Range<u32>, chosen: &dyn Fn(usize) -> bool| {
                let rows = (run.start as usize..run.end as usize).filter(|row| chosen(*row));
                let one = |row: usize| {
                    let (line, metadata) = (columns.lines.get(row).to_vec(), columns.metadata.get(row).to_vec());
                    assert_eq!(columns.line_lens[row] as usize, line.len());
                    (columns.timestamps[row], line, metadata)
                };
                rows.map(one).collect::<Vec<_>>()
            };
            assert_eq!(found.runs.len(), all.runs.len());
            for ((stream, run), (same, all_run)) in found.runs.iter().zip(&all.runs) {
                assert_eq!(stream, same);
                let chosen = |row: usize| {
                    let time = all.timestamps[row];
                    time % 5 != 3 && time % 7 != 2 && wanted.wants(all.lines.get(row))
                };
                assert_eq!(said(&found, run, &|_| true), said(&all, all_run, &chosen), "of each {modulus}");
            }
            wanted.texts.into_iter().for_each(|(what, count)| *texts.entry(what).or_default() += count);
            wanted.asked.into_iter().for_each(|(what, count)| *asked.entry(what).or_default() += count);
        }
    }
    asked
}

#[test]
fn wanted_rows_are_chosen_rows() {
    for utf8 in [true, false] {
        let block = l0::encode_logs(&TenantId::anonymous(), &batch(utf8)).unwrap();
        let mut merged = Vec::new();
        merge::logs(std::slice::from_ref(&block.bytes), &Default::default(), &mut |output| merged.push(output)).unwrap();
        let mut texts = Counts::new();
        for streams in [&[0, 1, 2][..], &[1], &[0, 2]] {
            assert_eq!(
                check(&block.bytes, streams, &mut texts).into_keys().collect::<Vec<_>>(),
                ["lines"],
                "a block has its lines"
            );
            for output in &merged {
                let asked = check(&output.bytes, streams, &mut texts);
                assert_eq!(asked.into_keys().collect::<Vec<_>>(), ["line", "variables"], "merged lines are cut");
            }
        }
        assert_eq!(texts.into_keys().collect::<Vec<_>>(), ["hex", "other"], "which texts are hexadecimal is known");
    }
}
