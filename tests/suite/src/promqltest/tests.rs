//! Our own scripts are golden tests, and the runner itself is tested with wrong expectations.

use super::*;

#[test]
fn our_scripts_pass() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let files = files(&folder).expect("the scripts are part of the crate");
    for engine in [Engine::Reference, Engine::DataFusion] {
        let reports: Vec<Report> = files.iter().map(|file| run_file(file, engine).expect("a script is readable")).collect();
        let failures: Vec<String> = reports.iter().flat_map(|r| r.failures.iter().map(|f| format!("{}\n{f}", r.name))).collect();
        assert!(failures.is_empty(), "{engine:?}\n{}", failures.join("\n"));
        assert!(reports.iter().map(|report| report.passed).sum::<usize>() >= 40);
    }
}

#[test]
fn wrong_expectations_fail() {
    let load = "load 1m\n  m{a=\"1\"} 1 2 3\n  m{a=\"2\"} {{count:1 sum:1}}x2\n\n";
    for case in [
        "eval instant at 1m m{a=\"1\"}\n  m{a=\"1\"} 3\n",
        "eval instant at 1m m{a=\"1\"}\n  {a=\"1\"} 2\n",
        "eval instant at 1m m{a=\"1\"}\n",
        "eval instant at 1m m{a=\"3\"}\n  m{a=\"3\"} 2\n",
        "eval instant at 1m m{a=\"1\"}\n  2\n",
        "eval instant at 1m m{a=\"2\"}\n  m{a=\"2\"} 1\n",
        "eval instant at 1m m{a=\"2\"}\n  m{a=\"2\"} {{count:2 sum:1}}\n",
        "eval instant at 1m m{a=\"1\"}\n  expect fail\n",
        "eval instant at 1m m{\n  m 1\n",
        "eval instant at 1m m{a=\"1\"}\n  expect warn\n  m{a=\"1\"} 2\n",
        "eval instant at 1m scalar(m{a=\"1\"})\n  3\n",
        "eval range from 0 to 2m step 1m m{a=\"1\"}\n  m{a=\"1\"} 1 2\n",
        "eval range from 0 to 2m step 1m m{a=\"1\"}\n  m{a=\"1\"} 1 2 3 4\n",
        "eval sometimes m\n",
    ] {
        let report = run_script("wrong", &format!("{load}{case}"), Engine::Reference);
        assert_eq!((report.passed, report.failures.len()), (0, 1), "{case}");
    }
}

#[test]
fn a_load_not_understood_fails_what_rests_on_it() {
    let report = run_script(
        "broken",
        "load 1m\n  m 1+\n\neval instant at 0 1\n  1\n\nclear\neval instant at 0 1\n  1\n",
        Engine::Reference,
    );
    assert_eq!((report.passed, report.failures.len()), (1, 1));
}

#[test]
fn huge_ranges_are_refused() {
    let report = run_script("huge", "eval range from 0 to 100y step 1ms 1\n  {} 1\n", Engine::Reference);
    assert!(report.failures[0].why.contains("steps, limit is"), "{:?}", report.failures);
}
