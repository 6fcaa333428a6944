//! Float chunks: XOR, and XOR2 with joint control bits and start timestamps.

use model::{STALE_NAN, TimestampMs, is_stale};

use super::bits::{Bits, Xor};
use super::start::Starts;
use super::{Sample, Value};

/// Times written as what changed in the distance between two.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    at: i64,
    delta: i64,
}

impl Times {
    fn step(&mut self, change: i64) {
        self.delta = self.delta.wrapping_add(change);
        self.at = self.at.wrapping_add(self.delta);
    }
}

fn sample(at: i64, start: i64, value: f64) -> Sample {
    Sample { timestamp: TimestampMs(at), start: TimestampMs(start), value: Value::Float(value) }
}

pub(super) fn xor(data: &[u8], visit: &mut dyn FnMut(Sample)) -> Option<()> {
    let (count, data) = data.split_first_chunk::<2>()?;
    let (mut bits, mut times, mut value) = (Bits::new(data), Times::default(), Xor::default());
    for index in 0..u16::from_be_bytes(*count) {
        match index {
            0 => {
                times.at = bits.varint_signed()?;
                value = Xor::new(bits.float()?);
            }
            1 => times.step(bits.varint()? as i64),
            _ => times.step(delta_of_delta(&mut bits)?),
        }
        let value = if index == 0 { value.value() } else { value.next(&mut bits)? };
        visit(sample(times.at, 0, value));
    }
    Some(())
}

fn delta_of_delta(bits: &mut Bits<'_>) -> Option<i64> {
    const SIZES: [u32; 5] = [0, 14, 17, 20, 64];
    let size = SIZES[bits.ones(4)?];
    bits.signed(size)
}

pub(super) fn xor2(data: &[u8], visit: &mut dyn FnMut(Sample)) -> Option<()> {
    let (&[high, low, starts], data) = data.split_first_chunk::<3>()?;
    let (mut bits, mut starts) = (Bits::new(data), Starts::new(starts));
    let (mut times, mut value) = (Times::default(), Xor::default());
    for index in 0..usize::from(u16::from_be_bytes([high, low])) {
        let before = times.at;
        let read = match index {
            0 => {
                times.at = bits.varint_signed()?;
                let first = bits.float()?;
                // A stale marker is no value to compare the next one with.
                value = if is_stale(first) { Xor::default() } else { Xor::new(first) };
                first
            }
            1 => {
                times.step(bits.varint()? as i64);
                next(&mut value, &mut bits)?
            }
            _ => joint(&mut times, &mut value, &mut bits)?,
        };
        let start = starts.next(&mut bits, index, times.at, before)?;
        visit(sample(times.at, start, read));
    }
    Some(())
}

/// Takes time and value of a sample after the second: five ways, the frequent ones short.
fn joint(times: &mut Times, value: &mut Xor, bits: &mut Bits<'_>) -> Option<f64> {
    let control = bits.ones(5)?;
    let size = match control {
        2 => 13,
        3 => 20,
        4 => 64,
        _ => 0,
    };
    // Two's complement here, other than in the older encoding.
    let change = if size == 0 { 0 } else { (bits.take(size)? << (64 - size)) as i64 >> (64 - size) };
    times.step(change);
    match control {
        0 => Some(value.value()),
        1 => {
            let same_window = !bits.bit()?;
            value.changed(bits, same_window)
        }
        5 => Some(STALE_NAN),
        _ => next(value, bits),
    }
}

/// Takes a value: unchanged, in the same window, in a new one, or stale.
fn next(value: &mut Xor, bits: &mut Bits<'_>) -> Option<f64> {
    match bits.ones(3)? {
        0 => Some(value.value()),
        1 => value.changed(bits, true),
        2 => value.changed(bits, false),
        _ => Some(STALE_NAN),
    }
}
