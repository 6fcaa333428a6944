//! A label table off its bytes. Every invariant is verified on the way, since no later reader checks one.

use std::sync::OnceLock;

use super::{BASE_SINCE, Rows, Table};
use crate::SegmentError;
use crate::cursor::{Cursor, unzigzag};
use crate::limits::SERIES_MAX;

impl Table {
    /// Takes a table off the cursor, verifying every invariant.
    pub(crate) fn decode(version: u16, cursor: &mut Cursor<'_>) -> Result<Table, SegmentError> {
        let names_len = cursor.count()?;
        let names = (0..names_len).map(|_| cursor.text().map(Box::from)).collect::<Result<Vec<Box<str>>, _>>()?;
        if names.iter().any(|name| name.is_empty()) {
            return Err(cursor.fail("has an empty label name"));
        }
        let pairs_len = cursor.count()?;
        let pair_names = cursor.u32_varints(pairs_len)?;
        if pair_names.iter().any(|name| *name as usize >= names.len()) {
            return Err(cursor.fail("has a pair without a name"));
        }
        let (values, value_ends) = decode_values(cursor, pairs_len)?;
        let series_len = cursor.count()?;
        if series_len > SERIES_MAX {
            return Err(cursor.fail("has too many series"));
        }
        let name_ranks = name_ranks(&names).ok_or_else(|| cursor.fail("has labels out of order"))?;
        let ranks: Vec<u32> = pair_names.iter().map(|name| name_ranks[*name as usize]).collect();
        let (series_pairs, series_ends) = decode_series_pairs(cursor, series_len, &ranks)?;
        let rows = decode_rows(version, cursor, series_len)?;
        let (runs, by_name) = (OnceLock::new(), OnceLock::new());
        let ascending = names.iter().map(|_| OnceLock::new()).collect();
        let postings = names.iter().map(|_| OnceLock::new()).collect();
        Ok(Table { names, pair_names, values, value_ends, series_pairs, series_ends, rows, runs, by_name, ascending, postings })
    }
}

/// Returns the place of each name in their order; `None` where two are the same.
fn name_ranks(names: &[Box<str>]) -> Option<Vec<u32>> {
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_unstable_by_key(|name| &names[*name]);
    let mut ranks = vec![0; names.len()];
    order.iter().enumerate().for_each(|(rank, name)| ranks[*name] = rank as u32);
    order.windows(2).all(|pair| names[pair[0]] != names[pair[1]]).then_some(ranks)
}

fn decode_values(cursor: &mut Cursor<'_>, pairs: usize) -> Result<(Box<str>, Vec<u32>), SegmentError> {
    let mut ends = cursor.u32_varints(pairs)?;
    let mut end = 0u32;
    for len in &mut ends {
        if *len == 0 {
            return Err(cursor.fail("has an empty label value"));
        }
        end = end.checked_add(*len).ok_or_else(|| cursor.fail("has values past 4 GiB"))?;
        *len = end;
    }
    let values = std::str::from_utf8(cursor.take(end as usize)?).map_err(|_| cursor.fail("has values that are not UTF-8"))?;
    if ends.iter().any(|end| !values.is_char_boundary(*end as usize)) {
        return Err(cursor.fail("has values that are not UTF-8"));
    }
    Ok((values.into(), ends))
}

/// A series some of whose pairs are to come.
struct Unfinished {
    /// Where its next pair goes, and where they end.
    next: u32,
    end: u32,
    /// The least rank that the name of its next pair may have.
    rank_min: u32,
}

/// Takes the pairs of all series off, position by position; `ranks` are those of the pairs' names, by which the pairs of a series
/// must ascend. Both are done in one pass: most of what opening a segment costs is here.
fn decode_series_pairs(cursor: &mut Cursor<'_>, series: usize, ranks: &[u32]) -> Result<(Vec<u32>, Vec<u32>), SegmentError> {
    let mut ends = cursor.u32_varints(series)?;
    let mut unfinished = Vec::with_capacity(series);
    let mut end = 0u32;
    for len in &mut ends {
        let next = end;
        end = end.checked_add(*len).ok_or_else(|| cursor.fail("has too many labels"))?;
        unfinished.push(Unfinished { next, end, rank_min: 0 });
        *len = end;
    }
    cursor.expect_bytes(end as usize)?;
    let mut ids = vec![0u32; end as usize];
    let narrowest = unfinished.iter().map(|series| series.end - series.next).min().unwrap_or(0);
    for position in 0.. {
        if position >= narrowest {
            unfinished.retain(|series| series.next < series.end);
        }
        if unfinished.is_empty() {
            break;
        }
        let mut previous = 0i64;
        cursor.zigzags(&mut unfinished, |series, difference| {
            previous = previous.wrapping_add(difference);
            let rank = usize::try_from(previous).ok().and_then(|id| ranks.get(id));
            let rank = rank.ok_or("has a series with an unknown label pair")?;
            if *rank < series.rank_min {
                return Err("has labels out of order");
            }
            ids[series.next as usize] = previous as u32;
            series.next += 1;
            series.rank_min = rank + 1;
            Ok(())
        })?;
    }
    Ok((ids, ends))
}

fn decode_rows(version: u16, cursor: &mut Cursor<'_>, series: usize) -> Result<Rows, SegmentError> {
    let slots: Vec<u16> = cursor.take(2 * series)?.chunks_exact(2).map(|slot| u16::from_le_bytes([slot[0], slot[1]])).collect();
    if slots.iter().any(|slot| *slot >= model::series::SLOT_COUNT) {
        return Err(cursor.fail("has a slot past the ring"));
    }
    let mut ends = cursor.varints(series)?;
    let mut end = 0u64;
    for rows in &mut ends {
        end = end.checked_add(*rows).filter(|end| *end < 1 << 40).ok_or_else(|| cursor.fail("has too many rows"))?;
        *rows = end;
    }
    cursor.expect_bytes(2 * series)?;
    let (mut first, mut base) = (Vec::with_capacity(series), 0i64);
    for _ in 0..series {
        base = base.wrapping_add(cursor.zigzag()?);
        first.push(base);
    }
    let mut last = Vec::with_capacity(series);
    for first in &first {
        let span = i64::try_from(cursor.varint()?).ok();
        let time = span.and_then(|span| first.checked_add(span)).filter(|time| *time != i64::MAX);
        last.push(time.ok_or_else(|| cursor.fail("has a time range out of bounds"))?);
    }
    let (columns, scales) = (cursor.take(series)?.to_vec(), cursor.take(series)?.to_vec());
    let extra = if cursor.zeros(series) { Vec::new() } else { cursor.varints(series)? };
    let base = if version < BASE_SINCE || cursor.zeros(series) { Vec::new() } else { cursor.varints(series)? };
    let base = base.into_iter().map(unzigzag).collect();
    Ok(Rows { slots, ends, first, last, columns, scales, extra, base })
}
