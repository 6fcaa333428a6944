use super::*;

fn cut(line: &[u8]) -> Option<(Cut, Template)> {
    let mut cut = Cut::default();
    cut.cut(line).then(|| {
        let template = Template::parse(&cut.template).unwrap();
        (cut, template)
    })
}

fn rebuilt(line: &[u8]) -> Option<Vec<u8>> {
    let (cut, template) = cut(line)?;
    assert_eq!((template.numbers(), template.texts()), (cut.numbers.len(), cut.texts.len()));
    let mut out = Vec::new();
    let text = |column: usize| &line[cut.texts[column].0 as usize..cut.texts[column].1 as usize];
    template.put_line(|column, out| put_digits(cut.numbers[column], out), text, &mut out);
    Some(out)
}

/// The template with `#a` for the first number and `$A` for the first text.
fn shown(line: &str) -> String {
    let (cut, _) = cut(line.as_bytes()).unwrap();
    let stored = String::from_utf8(cut.template).unwrap();
    let mut out = String::new();
    let mut chars = stored.chars();
    while let Some(char) = chars.next() {
        match char {
            '\u{1}' => {
                let letter = chars.next().unwrap();
                out.push(if letter.is_ascii_lowercase() { '#' } else { '$' });
                out.push(letter);
            }
            char => out.push(char),
        }
    }
    out
}

#[test]
fn what_varies_is_cut_out() {
    let cases = [
        ("level=info user=user-4711 took=12ms", "level=info user=user-#a took=#bms"),
        ("2026-11-21T08:05:09.000123Z I1121", "#a-#b-#cT#d:#e:#f.#gZ I#h"),
        ("id=4bf92f3577b34da6a3ce929d0e0e4736 b=deadbeef", "id=$A b=deadbeef"),
        ("uid CSeM8q3nWJOZPRfZ7 x86_64", "uid $A x#a_#b"),
        ("user 12345 of 12345, 12 of 12", "user #a of #a, #b of #c"),
        ("f86f0d06-9678-40fc-8adf-12c7016dd2fa f86f0d06-9678-40fc-8adf-12c7016dd2fab", "$A $B-#a-#bfc-#cadf-$C"),
        ("at 0x7ffd of 12ab34cd, CHhAvVGSDHFjwGM9", "at $A of $B, $C"),
        ("12345678901234567890", "$A"),
        ("", ""),
        ("größe 5é6", "größe #aé#b"),
    ];
    for (line, template) in cases {
        assert_eq!(shown(line), template, "{line}");
    }
}

#[test]
fn leading_zeros_are_kept() {
    for digits in ["0", "00", "007", "7", "000000000000000000", "099999999999999999", "999999999999999999"] {
        let mut out = Vec::new();
        put_digits(number_of(digits.as_bytes()), &mut out);
        assert_eq!(out, digits.as_bytes());
    }
}

#[test]
fn a_line_with_many_variables_ends_in_a_text() {
    let numbers: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    let ids: Vec<String> = (0..100).map(|number| format!("a{number}b{number}c")).collect();
    for line in [numbers.join(" "), ids.join(" "), format!("{} {}", ids.join(" "), numbers.join(" "))] {
        let (cut, template) = cut(line.as_bytes()).unwrap();
        assert!(cut.numbers.len() <= NUMBERS_MAX && cut.texts.len() <= TEXTS_MAX);
        assert!(matches!(template.parts().last(), Some(Part::Rest(_))));
        assert_eq!(rebuilt(line.as_bytes()).unwrap(), line.as_bytes());
    }
}

#[test]
fn lines_that_are_not_cut() {
    assert!(cut(b"has the \x01 mark").is_none());
    assert!(cut(b"broken \xff").is_none());
}

#[test]
fn broken_templates_are_corrupt() {
    for stored in [&b"\x01"[..], b"x\x01b", b"\x01a\x01c", b"\x01B", b"\x01\x00", b"\x01z", b"\x01A\x01I"] {
        assert!(Template::parse(stored).is_err(), "{stored:?}");
    }
}

/// Text that looks like logs: words, digits, zeros, marks, bytes past ASCII.
fn line_like() -> impl proptest::strategy::Strategy<Value = Vec<u8>> {
    use proptest::prelude::*;
    let piece = prop_oneof![
        "[a-z]{1,9}".prop_map(String::into_bytes),
        "[0-9]{1,21}".prop_map(String::into_bytes),
        "[0-9a-f]{6,40}".prop_map(String::into_bytes),
        "[ =:_,.\"\n\t{}-]{1,3}".prop_map(String::into_bytes),
        "[0-9a-zA-Zäß]{1,20}".prop_map(String::into_bytes),
        Just(b"0007".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..3),
    ];
    proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest::proptest! {
    #[test]
    fn lines_come_back_byte_for_byte(line in line_like()) {
        if let Some(back) = rebuilt(&line) {
            proptest::prop_assert_eq!(back, line);
        }
    }

    #[test]
    fn no_stored_template_panics(stored in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40), number: i64) {
        if let Ok(template) = Template::parse(&stored) {
            template.put_line(|_, out| put_digits(number, out), |_| b"text", &mut Vec::new());
        }
    }
}
