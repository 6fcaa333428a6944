//! Writes protobuf messages into a buffer; fields with their default value are left out, as proto3 does.

/// Appends a varint.
pub(crate) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a number as field `field`, unless it is 0; negative ones as `int64` does.
pub(crate) fn int(out: &mut Vec<u8>, field: u32, value: i64) {
    if value != 0 {
        varint(out, u64::from(field) << 3);
        varint(out, value as u64);
    }
}

/// Appends a zigzag number (`sint32`, `sint64`), unless it is 0.
pub(crate) fn signed(out: &mut Vec<u8>, field: u32, value: i64) {
    int(out, field, (value << 1) ^ (value >> 63));
}

/// Appends a double; `always` keeps a zero, for members of a `oneof` and proto2's optional fields.
pub(crate) fn double(out: &mut Vec<u8>, field: u32, value: f64, always: bool) {
    if always || value.to_bits() != 0 {
        varint(out, u64::from(field) << 3 | 1);
        out.extend_from_slice(&value.to_le_bytes());
    }
}

/// Appends bytes or a string, empty ones too: in lists they count.
pub(crate) fn bytes(out: &mut Vec<u8>, field: u32, value: &[u8]) {
    varint(out, u64::from(field) << 3 | 2);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// Appends a message that `write` appends.
pub(crate) fn message(out: &mut Vec<u8>, field: u32, write: impl FnOnce(&mut Vec<u8>)) {
    let mut inner = Vec::new();
    write(&mut inner);
    bytes(out, field, &inner);
}

/// Appends packed doubles, unless there are none.
pub(crate) fn doubles(out: &mut Vec<u8>, field: u32, values: &[f64]) {
    if !values.is_empty() {
        varint(out, u64::from(field) << 3 | 2);
        varint(out, values.len() as u64 * 8);
        values.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
    }
}
