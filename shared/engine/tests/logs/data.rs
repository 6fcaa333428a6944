//! Generated entries: JSON, logfmt, plain and broken lines, bytes that are no UTF-8, empty lines, equal times, structured metadata
//! that collides with labels.

use model::LabelSet;
use plan::StreamEntries;
use plan::value::Entry;

use crate::random::Random;

/// Start of the data: a full hour.
pub const T0_NS: i64 = 1_767_225_600_000_000_000;
/// How far entries go.
pub const SPAN_NS: i64 = 2 * 3_600_000_000_000;

/// Makes streams, ordered by labels, entries by time; no entry of a stream twice.
pub fn generate(random: &mut Random) -> Vec<StreamEntries> {
    let mut streams = Vec::new();
    for app in ["web", "db", "cron"] {
        for pod in 0..=random.below(2) {
            let pod = format!("{app}-{pod}");
            let mut labels = vec![("app", app), ("pod", pod.as_str())];
            if random.below(3) == 0 {
                labels.push(("level", random.pick(&["info", "error"])));
            }
            let entries = entries(random);
            streams.push(StreamEntries { labels: LabelSet::from_pairs(labels), entries });
        }
    }
    streams.retain(|stream| !stream.entries.is_empty());
    streams.sort_by(|a, b| a.labels.cmp(&b.labels));
    streams
}

fn entries(random: &mut Random) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut timestamp = T0_NS + random.below(600) as i64 * 1_000_000_000;
    let pace = 1 + random.below(120);
    while timestamp < T0_NS + SPAN_NS {
        // Some times are round, so that windows begin and end on them; some are equal.
        timestamp += match random.below(8) {
            0 => 0,
            1 => 37_000_000_000 - timestamp.rem_euclid(37_000_000_000),
            2 => 60_000_000_000 - timestamp.rem_euclid(60_000_000_000),
            _ => (random.below(pace) * 1_000_000_000 + random.below(1_000_000_000)) as i64,
        };
        let entry = Entry { timestamp, line: line(random), metadata: metadata(random), parsed: LabelSet::empty() };
        let repeats = entries.iter().rev().take_while(|known| known.timestamp == timestamp).any(|known| *known == entry);
        if !repeats {
            entries.push(entry);
        }
    }
    entries
}

fn line(random: &mut Random) -> Vec<u8> {
    let level = random.pick(&["info", "warn", "error", ""]);
    let (number, status) = (random.below(2000), 200 + random.below(4) * 100);
    let user = random.pick(&["ann", "bob", "eve", "é x"]);
    let id =
        random.pick(&["7Fx2Kq9Zw4errorTs", "3f2a9c4b7d1e8f60", "550e8400-e29b-41d4-a716-446655440000", "0xdead", "a1b2é3c4"]);
    match random.below(16) {
        12 => format!("trace={id} handled in {number} ms order-{number:05} by {user}").into_bytes(),
        13 => format!("{id}: retry {status} of {id}/{number}, error={number}").into_bytes(),
        // More variables than there are columns.
        14 => (0..27).map(|n| format!("{} {n}error ", number % (n + 2))).collect::<String>().into_bytes(),
        15 => (0..9).map(|n| format!("x{n}y{}z{} ", number % 3, status)).collect::<String>().into_bytes(),
        0..4 => format!(
            r#"{{"level":"{level}","status":{status},"took":{number},"user":{{"name":"{user}","id":{number}}},"app":"x","size":"{number}KB"}}"#
        )
        .into_bytes(),
        4..8 => format!("level={level} status={status} took={number}ms user=\"{user}\" size={number}KB msg=\"request served\"").into_bytes(),
        8 => format!("{{\"level\":\"{level}\",\"status\":{status},").into_bytes(),
        9 => format!("10.0.{}.{} - {user} GET /items/{number} {status}", number % 3, number % 250).into_bytes(),
        10 => [b"bytes \xff\xfe took=".as_slice(), number.to_string().as_bytes(), b" level=error \xc3("].concat(),
        _ => random.pick(&["", "error", "a=1 a=2 b", "\u{1b}[31mred error\u{1b}[0m"]).as_bytes().to_vec(),
    }
}

fn metadata(random: &mut Random) -> LabelSet {
    let trace = format!("{:08x}", random.below(50));
    let sets: [&[(&str, &str)]; 5] = [
        &[],
        &[("detected_level", "info")],
        &[("detected_level", "error"), ("trace_id", &trace)],
        &[("app", "shadow"), ("status", "9")],
        &[("level", "debug"), ("trace_id", &trace)],
    ];
    LabelSet::from_pairs(sets[random.below(5) as usize].iter().copied())
}
