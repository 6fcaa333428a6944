//! Whether an answer is the one recorded: texts with wildcards, JSON with and without order, shapes.

use serde_json::Value;

use crate::logql::Verdict;

/// Stand for any text in an expectation.
const WILDCARDS: [&str; 2] = ["<time>", "<id>"];
/// Stands for a number of seconds.
const SECONDS: &str = "<unix seconds float>";

/// Compares a plain body.
pub(super) fn body(want: &str, got: &str) -> Verdict {
    match matches(want, got) {
        true => Ok(()),
        false => Err(format!("body\nwant {want:?}\ngot  {got:?}")),
    }
}

/// Reports whether a text is the one expected, where wildcards stand for any run of at least one character.
fn matches(want: &str, got: &str) -> bool {
    let first = WILDCARDS.iter().filter_map(|wildcard| want.find(wildcard).map(|at| (at, wildcard.len()))).min();
    let Some((at, len)) = first else { return want == got };
    let Some(rest) = got.strip_prefix(&want[..at]) else { return false };
    let after = &want[at + len..];
    rest.char_indices().any(|(at, char)| matches(after, &rest[at + char.len_utf8()..]))
}

/// Compares JSON; `stats` of an answer count for nothing, as they were removed from the data.
pub(super) fn json(want: &Value, got: &Value, unordered: bool) -> Verdict {
    compare("", want, got, unordered)
}

fn compare(path: &str, want: &Value, got: &Value, unordered: bool) -> Verdict {
    let differ = || Err(format!("at {path}\nwant {want}\ngot  {got}"));
    match (want, got) {
        (Value::Object(wanted), Value::Object(found)) => {
            let extra = found.keys().find(|name| *name != "stats" && !wanted.contains_key(*name));
            if extra.is_some() {
                return differ();
            }
            wanted.iter().try_for_each(|(name, value)| match found.get(name) {
                Some(found) => compare(&format!("{path}/{name}"), value, found, unordered),
                None => Err(format!("at {path}: {name} is missing\nwant {want}\ngot  {got}")),
            })
        }
        (Value::Array(wanted), Value::Array(found)) if wanted.len() != found.len() => differ(),
        (Value::Array(wanted), Value::Array(found)) if unordered => match same_multiset(wanted, found) {
            true => Ok(()),
            false => differ(),
        },
        (Value::Array(wanted), Value::Array(found)) => {
            let mut items = wanted.iter().zip(found).enumerate();
            items.try_for_each(|(index, (want, got))| compare(&format!("{path}/{index}"), want, got, unordered))
        }
        (Value::String(wanted), Value::String(found)) if matches(wanted, found) => Ok(()),
        (Value::String(wanted), Value::Number(_)) if wanted == SECONDS => Ok(()),
        (Value::Number(wanted), Value::Number(found)) if wanted.as_f64() == found.as_f64() => Ok(()),
        (want, got) if want == got => Ok(()),
        _ => differ(),
    }
}

fn same_multiset(want: &[Value], got: &[Value]) -> bool {
    let mut left: Vec<&Value> = got.iter().collect();
    want.iter().all(|want| match left.iter().position(|got| compare("", want, got, true).is_ok()) {
        Some(at) => {
            left.swap_remove(at);
            true
        }
        None => false,
    })
}

/// Compares keys and types only. Lists agree where each item found looks like some item wanted, and neither is empty alone.
pub(super) fn shape(want: &Value, got: &Value) -> Verdict {
    let agrees = match (want, got) {
        (Value::Object(want), Value::Object(got)) => {
            want.keys().all(|name| got.contains_key(name))
                && got
                    .iter()
                    .filter(|(name, _)| *name != "stats")
                    .all(|(name, got)| want.get(name).is_some_and(|want| shape(want, got).is_ok()))
        }
        (Value::Array(want), Value::Array(got)) => {
            want.is_empty() == got.is_empty() && got.iter().all(|got| want.iter().any(|want| shape(want, got).is_ok()))
        }
        (want, got) => std::mem::discriminant(want) == std::mem::discriminant(got),
    };
    if agrees { Ok(()) } else { Err(format!("shape\nwant {want}\ngot  {got}")) }
}

/// Compares the message of a `google.rpc.Status`: field 2 of a protobuf message.
pub(super) fn rpc_message(want: &str, bytes: &[u8]) -> Verdict {
    let got = field_two(bytes).ok_or("the body is not a google.rpc.Status with a message")?;
    body(want, &String::from_utf8_lossy(got))
}

fn field_two(mut bytes: &[u8]) -> Option<&[u8]> {
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let value = varint(&mut bytes)?;
        if key & 7 == 2 {
            let (item, rest) = bytes.split_at_checked(usize::try_from(value).ok()?)?;
            if key >> 3 == 2 {
                return Some(item);
            }
            bytes = rest;
        }
    }
    None
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 127) << shift;
        if first & 128 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json as value;

    #[test]
    fn wildcards_stand_for_any_text() {
        for (want, got, same) in [
            ("a", "a", true),
            ("at <time>, not <time>\n", "at 1, not 2\n", true),
            ("at <time>, not <time>\n", "at 1, not \n", false),
            ("<id>", "", false),
        ] {
            assert_eq!(matches(want, got), same, "{want} {got}");
        }
    }

    #[test]
    fn answers_are_compared_as_the_data_asks() {
        let table = [
            (value!({"a": [1, 2]}), value!({"a": [1, 2], "stats": {}}), false, true),
            (value!({"a": [1, 2]}), value!({"a": [2, 1]}), false, false),
            (value!({"a": [1, 2]}), value!({"a": [2, 1]}), true, true),
            (value!([{"a": ["x", "y"]}]), value!([{"a": ["y", "x"]}]), true, true),
            (value!({"a": 1}), value!({"a": 1.0}), false, true),
            (value!({"a": 1}), value!({}), false, false),
            (value!({}), value!({"a": 1}), false, false),
        ];
        for (want, got, unordered, same) in table {
            assert_eq!(json(&want, &got, unordered).is_ok(), same, "{want} {got}");
        }
        assert!(shape(&value!([{"a": 1}]), &value!([{"a": 2}, {"a": 3}])).is_ok());
        assert!(shape(&value!([{"a": 1}]), &value!([])).is_err());
    }

    #[test]
    fn the_message_of_a_status_is_found() {
        assert!(rpc_message("no", &[0x08, 3, 0x12, 2, b'n', b'o']).is_ok());
        assert!(rpc_message("no", &[0x12, 9, b'n']).is_err());
    }
}
