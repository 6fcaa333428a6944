//! Loki's verdicts, texts and printing, read from the folder `LAMELLA_CONFORMANCE` names; nothing is tested without it.

#![allow(clippy::unwrap_used)]

use serde_json::Value;

fn cases(file: &str) -> Option<Value> {
    let folder = std::env::var("LAMELLA_CONFORMANCE").ok()?;
    let text = std::fs::read_to_string(format!("{folder}/logql/{file}")).ok()?;
    serde_json::from_str(&text).ok()
}

fn query(case: &Value) -> Option<String> {
    if let Some(query) = case["query"].as_str() {
        return Some(query.to_owned());
    }
    let parts = case["query_parts"].as_array()?;
    Some(
        parts
            .iter()
            .map(|part| match part.as_str() {
                Some(text) => text.to_owned(),
                None => part["repeat"].as_str().unwrap().repeat(part["times"].as_u64().unwrap() as usize),
            })
            .collect(),
    )
}

/// Drops the line number, which Loki itself loses after some tokens.
fn without_line(text: &str) -> String {
    match text.strip_prefix("parse error at line ").and_then(|tail| tail.split_once(',')) {
        Some((_, tail)) => format!("parse error at line ?,{tail}"),
        None => text.to_owned(),
    }
}

#[test]
fn parse_cases() {
    let Some(data) = cases("parse_cases.json") else { return };
    let verbose = std::env::var("LAMELLA_VERBOSE").is_ok();
    let (mut total, mut verdicts, mut errors, mut texts, mut valid, mut canonical, mut pretty) = (0, 0, 0, 0, 0, 0, 0);
    for case in data["cases"].as_array().unwrap() {
        let Some(query) = query(case) else { continue };
        total += 1;
        let got = logql::parse(&query);
        if got.is_ok() == case["valid"].as_bool().unwrap() {
            verdicts += 1;
        } else {
            println!("VERDICT {} {query:.200} want {} got {:?}", case["id"], case["valid"], got.as_ref().err());
        }
        match (got, case["error"].as_str()) {
            (Err(error), Some(want)) => {
                errors += 1;
                if without_line(&error.to_string()) == without_line(want) {
                    texts += 1;
                } else {
                    println!("TEXT {query:.200}\n  want {want}\n  got  {error}");
                }
            }
            (Ok(expr), None) => {
                valid += 1;
                let want = case["canonical"].as_str().unwrap();
                let got = logql::print(&expr);
                if got == want {
                    canonical += 1;
                } else if verbose {
                    println!("CANONICAL\n  want {want}\n  got  {got}");
                }
                let want = case["pretty"].as_str().unwrap_or(want);
                let got = logql::pretty(&expr);
                if got == want {
                    pretty += 1;
                } else if verbose {
                    println!("PRETTY want\n{want}\ngot\n{got}");
                }
            }
            _ => {}
        }
    }
    println!(
        "parse cases {total}: verdicts {verdicts}, texts {texts}/{errors}, canonical {canonical}/{valid}, pretty {pretty}/{valid}"
    );
    assert_eq!(verdicts, total);
    assert!(texts * 100 >= errors * 95, "texts {texts}/{errors}");
}
