use super::*;

fn filter(lines: &[&str]) -> TokenFilter {
    let mut set = TokenSet::default();
    lines.iter().for_each(|line| set.add_line(line.as_bytes()));
    set.take_filter()
}

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const LINE: &str = "level=error msg=\"connection refused\" user=user-12345678 trace=0af7651916cd43dd8448eb211c80319c";

#[test]
fn needles_that_are_there_are_never_denied() {
    let filter = filter(&[LINE, "id f86f0d06-9678-40fc-8adf-12c7016dd2fa took 12ms x12345678901"]);
    let text = format!("{LINE}\n");
    for needle in [&text[..text.len() - 1], TRACE, "0af7", "onnection ref", " refused\"", "user-1234", "=", ""] {
        assert!(filter.may_contain_needle(Needle::Substring(needle.as_bytes())), "{needle}");
    }
    for needle in ["-9678-40fc-", "f86f0d06-", "-12c7016dd2fa", "9678", "f86f0d06-9678-40fc-8adf-12c7016dd2fa", "12345678901"] {
        assert!(filter.may_contain_needle(Needle::Substring(needle.as_bytes())), "{needle}");
    }
    for value in [TRACE, "error", "connection refused", "user-12345678", "f86f0d06-9678-40fc-8adf-12c7016dd2fa"] {
        assert!(filter.may_contain_needle(Needle::Whole(value.as_bytes())), "{value}");
    }
}

#[test]
fn needles_that_are_not_there_are_denied() {
    let filter = filter(&[LINE]);
    let absent = TRACE.replace('0', "1");
    for needle in [&*absent, &format!("trace={absent}"), "=warning ", " user-87654321 ", "internationalisation"] {
        assert!(!filter.may_contain_needle(Needle::Substring(needle.as_bytes())), "{needle}");
    }
    for value in ["warn", &*absent, "user-87654321"] {
        assert!(!filter.may_contain_needle(Needle::Whole(value.as_bytes())), "{value}");
    }
    // Part of a longer word, as far as the filter knows.
    assert!(filter.may_contain_needle(Needle::Substring(b"warn")));
}

#[test]
fn false_positives_stay_below_two_per_cent() {
    let line =
        |number: u64| format!("trace={:032x}", u128::from(xxh3_64(&number.to_le_bytes())).wrapping_mul(1 << 64 | 0x9e37_79b9));
    let lines: Vec<String> = (0..20_000).map(line).collect();
    let filter = filter(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    let wrong = (20_000..40_000).filter(|number| filter.may_contain_needle(Needle::Substring(&line(*number).as_bytes()[6..])));
    assert!(wrong.count() < 400);
}

proptest::proptest! {
    /// Whatever a line is, no part of it is denied.
    #[test]
    fn parts_of_lines_are_never_denied(
        lines in proptest::collection::vec("([a-z]{1,6}[ =:-]|[0-9]{1,9}|[0-9a-f]{4,12}-?|[A-Za-z0-9ß]{1,14}[\" ,]){0,12}", 1..6),
        pick: proptest::sample::Index, from: proptest::sample::Index, len: proptest::sample::Index,
    ) {
        let filter = filter(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        let line = pick.get(&lines).as_bytes();
        let start = from.index(line.len() + 1);
        let end = start + len.index(line.len() - start + 1);
        proptest::prop_assert!(filter.may_contain_needle(Needle::Substring(&line[start..end])));
        let is_word = |at: Option<usize>| at.and_then(|at| line.get(at)).is_some_and(|byte| template::is_word(*byte));
        if !is_word(start.checked_sub(1)) && !is_word(Some(end)) {
            proptest::prop_assert!(filter.may_contain_needle(Needle::Whole(&line[start..end])));
        }
    }

    /// A set that was told of templates once knows what one that saw every word knows.
    #[test]
    fn variables_are_enough(lines in proptest::collection::vec("([a-z]{1,6}[ =]|[0-9]{1,9}|[0-9a-f]{8,12} ){0,40}", 1..6)) {
        let (mut all, mut varying, mut seen, mut cut) = (TokenSet::default(), TokenSet::default(), HashSet::new(), Cut::default());
        for line in &lines {
            all.add_line(line.as_bytes());
            proptest::prop_assert!(cut.cut(line.as_bytes()));
            if seen.insert(cut.template.clone()) {
                varying.add_line(line.as_bytes());
            } else {
                varying.add_variables(line.as_bytes(), &cut);
            }
        }
        proptest::prop_assert_eq!(all.take_filter(), varying.take_filter());
    }
}
