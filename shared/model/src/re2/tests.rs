use super::*;

fn matches(pattern: &str, text: &str) -> bool {
    compile(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}")).is_match(text)
}

#[test]
fn faults_are_gos() {
    for (pattern, want) in [
        ("(", "missing closing ): `(`"),
        ("a)", "unexpected ): `a)`"),
        ("(a|b", "missing closing ): `(a|b`"),
        ("*a", "missing argument to repetition operator: `*`"),
        ("a**", "invalid nested repetition operator: `**`"),
        ("a++", "invalid nested repetition operator: `++`"),
        ("x{1001}", "invalid repeat count: `{1001}`"),
        ("x{3,2}", "invalid repeat count: `{3,2}`"),
        ("(?x) a b", "invalid or unsupported Perl syntax: `(?x`"),
        ("(?!a)", "invalid or unsupported Perl syntax: `(?!`"),
        ("(?<=a)b", "invalid named capture: `(?<=a)b`"),
        ("(?P<é>x)", "invalid named capture: `(?P<é>`"),
        ("a\\Z", "invalid escape sequence: `\\Z`"),
        ("\\1", "invalid escape sequence: `\\1`"),
        ("\\u00e9", "invalid escape sequence: `\\u`"),
        ("\\xg1a", "invalid escape sequence: `\\xg1`"),
        ("\\x4", "invalid escape sequence: `\\x4`"),
        // Neither digit need be one byte long.
        ("a\\xé4", "invalid escape sequence: `\\xé4`"),
        ("\\x4é", "invalid escape sequence: `\\x4é`"),
        ("\\C", "invalid escape sequence: `\\C`"),
        ("error\\", "trailing backslash at end of expression: ``"),
        ("[a-\\d]", "invalid escape sequence: `\\d`"),
        ("[z-a]", "invalid character class range: `z-a`"),
        ("[a", "missing closing ]: `[a`"),
        ("[[:nope:]]", "invalid character class range: `[:nope:]`"),
        ("\\pX", "invalid character class range: `\\pX`"),
        ("\\p{Alphabetic}", "invalid character class range: `\\p{Alphabetic}`"),
        ("\\pl", "invalid character class range: `\\pl`"),
        ("\\p{greek}", "invalid character class range: `\\p{greek}`"),
        ("\\p{Grek}", "invalid character class range: `\\p{Grek}`"),
        ("a(?", "invalid or unsupported Perl syntax: `(?`"),
        ("(?i-s", "invalid or unsupported Perl syntax: `(?i-s`"),
        ("(?P<", "invalid or unsupported Perl syntax: `(?P`"),
        ("(?<n", "invalid named capture: `(?<n`"),
    ] {
        assert_eq!(translate(pattern).err().map(|e| e.message).as_deref(), Some(want), "{pattern}");
    }
}

#[test]
fn meaning_is_gos() {
    for (pattern, text, want) in [
        ("^\\w$", "é", false),
        ("^\\W$", "é", true),
        ("^\\d$", "٣", false),
        ("\\s", "\u{b}", false),
        ("\\bé", "é", false),
        ("a\\Bb", "ab", true),
        ("^.$", "é", true),
        ("^\\pL$", "é", true),
        ("^\\p{^L}$", "é", false),
        ("^[\\P{^L}]$", "é", true),
        ("^\\p{Greek}$", "α", true),
        ("^\\p{Any}$", "α", true),
        ("^ba(?s)(?i)+$", "baa", true),
        ("^a(?i)(b)(?-i){2}C$", "aBbC", true),
        ("^a(?i)(b)(?-i){2}C$", "aBbc", false),
        ("^(?ii)a$", "A", true),
        ("^(?is-i)a.$", "A\n", false),
        ("^(?is-i)a.$", "a\n", true),
        ("^[[:alpha:]]$", "é", false),
        ("^[a&&b]$", "&", true),
        ("^[!--b]$", "#", true),
        ("^[[a]$", "[", true),
        ("^[^\\d]$", "x", true),
        ("^{$", "{", true),
        ("^a{$", "a{", true),
        ("^a{,2}$", "a{,2}", true),
        ("^a{2}$", "aa", true),
        ("^\\Qa.b\\E$", "a.b", true),
        ("\\Q.", "x", false),
        ("^\\x{e9}$", "é", true),
        ("^\\x41\\101$", "AA", true),
        ("(?i)ABC", "abc", true),
        ("(?U)a+", "a", true),
        ("(?)a", "a", true),
        ("a|", "zzz", true),
        ("^\\z", "", true),
        ("(?P<a>x)(?P<a>y)", "xy", true),
        ("(?m)^b$", "a\nb\nc", true),
        ("^b$", "a\nb", false),
        ("^a-b#c d$", "a-b#c d", true),
    ] {
        assert_eq!(matches(pattern, text), want, "{pattern} on {text:?}");
    }
}

#[test]
fn anchored_patterns_span_lines() {
    let regex = compile_anchored("a.*|b").unwrap();
    assert!(regex.is_match("a\nx") && regex.is_match("b") && !regex.is_match("xb") && !regex.is_match("bx"));
    assert!(compile_anchored("a\\Q.\\E").unwrap().is_match("a."));
    // Prometheus anchors what it has parsed.
    assert!(compile_anchored("a\\Q.").unwrap().is_match("a."));
}

#[test]
fn sizes_are_bounded() {
    assert!(compile("(?:(?:a{1000}){1000}){1000}").is_err());
    assert!(compile(&"(".repeat(5000)).is_err());
    let _ = compile(&format!("{}a{}", "(".repeat(5000), ")".repeat(5000)));
}
