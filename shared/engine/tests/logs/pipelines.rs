//! Generated queries: selectors, pipelines of all stages, range aggregations, and vector operations above them.

use crate::random::Random;

const SELECTORS: [&str; 5] =
    [r#"{app="web"}"#, r#"{app=~".+"}"#, r#"{app!="web", pod=~".*-0"}"#, r#"{level="error"}"#, r#"{app=~"db|cron"}"#];

const FILTERS: [&str; 28] = [
    r#"|= "error""#,
    r#"|= "took" != "info""#,
    r#"|= "ann" or "bob""#,
    r#"!= "level=info" or "status""#,
    r#"|~ "(?i)ERROR""#,
    r#"|~ "status.{1,3}[45]00" |= "e""#,
    r#"!~ "^\\{""#,
    r#"|~ "ser.*d\"$""#,
    r#"|> "<_>status=<_> took=<_>""#,
    r#"!> "<_>level<_>""#,
    r#"!~ "trace=[a-z0-9]+ handled""#,
    r#"!= "-29b" !~ "error=[0-9]*7$""#,
    r#"|= "trace=3f""#,
    r#"|~ "handled in [0-9]+ ms""#,
    r#"|~ "in 1?[0-9]+ ms|status=4""#,
    r#"|= "0400 of 5" or "took=1""#,
    r#"|~ "(?i)ERRORTS|xdea""#,
    r#"|~ "^.{8}:|00 of|z\\d+ x8""#,
    r#"|~ "\\border-0""#,
    r#"|~ "(?m)ann$|é3" != "17""#,
    r#"|~ "[^\\x00-\\x7f]""#,
    r#"|~ "^$|1error 1" or "0error""#,
    r#"|= "er=" or "200,\"took\":1""#,
    r#"|~ "[0-9]error [0-9]{1,2} 1?""#,
    r#"|= ip("10.0.1.0/24")"#,
    r#"|= """#,
    r#"|~ ".\xff|bytes .""#,
    r#"|= "absent needle""#,
];

const PARSERS: [&str; 12] = [
    "| json",
    "| logfmt",
    r#"| json name="user.name", status"#,
    r#"| logfmt took, lvl="level""#,
    "| logfmt --strict",
    "| logfmt --keep-empty",
    r#"| regexp "status.(?P<status>\\d+)""#,
    r#"| pattern "<ip> - <user> <_>""#,
    "| unpack",
    "| json | logfmt",
    "| decolorize | logfmt",
    r#"| line_format "level={{.level}} n={{.status}}" | logfmt"#,
];

const STAGES: [&str; 18] = [
    r#"| level="error""#,
    r#"| status>=400"#,
    r#"| took>500ms or status=200"#,
    r#"| size<1MB, status!=300"#,
    r#"| detected_level=~"info|error""#,
    r#"| trace_id!="""#,
    r#"| __error__="""#,
    r#"| drop __error__, __error_details__"#,
    r#"| drop status, trace_id"#,
    r#"| keep level, app"#,
    r#"| label_format lvl=level, both="{{.app}}-{{.level}}""#,
    r#"| line_format "{{.app}} {{__line__ | trunc 9}}""#,
    r#"|= "e""#,
    r#"| app_extracted="x""#,
    r#"| level_extracted!="debug""#,
    r#"| label_format app="{{.pod}}""#,
    r#"| user_name="ann" or user="ann""#,
    r#"| drop level="info""#,
];

const COUNTS: [&str; 5] = ["count_over_time", "rate", "bytes_over_time", "bytes_rate", "absent_over_time"];
const UNWRAPPED: [&str; 12] = [
    "sum_over_time",
    "avg_over_time",
    "min_over_time",
    "max_over_time",
    "first_over_time",
    "last_over_time",
    "stddev_over_time",
    "stdvar_over_time",
    "quantile_over_time",
    "rate",
    "rate_counter",
    "absent_over_time",
];
const UNWRAPS: [&str; 4] = ["unwrap status", "unwrap took", "unwrap duration(took)", "unwrap bytes(size)"];
const RANGES: [&str; 6] = ["37s", "74s", "5m", "10m", "1h", "1s"];

fn pipeline(random: &mut Random) -> String {
    let mut text = String::new();
    let mut push = |part: &str| {
        text.push(' ');
        text.push_str(part);
    };
    for _ in 0..[0, 1, 1, 2][random.below(4) as usize] {
        // Those at the end pass little.
        let filters = if random.below(4) == 0 { &FILTERS[..] } else { &FILTERS[..12] };
        push(random.pick(filters));
    }
    if random.below(3) > 0 {
        push(random.pick(&PARSERS));
    }
    for _ in 0..random.below(3) {
        push(random.pick(&STAGES));
    }
    text
}

fn range_aggregation(random: &mut Random) -> String {
    let selector = random.pick(&SELECTORS);
    let pipeline = pipeline(random);
    let range = random.pick(&RANGES);
    let offset = random.pick(&["", "", "", " offset 37s", " offset 10m", " offset -74s"]);
    let survives = if random.below(3) > 0 { " | __error__=\"\"" } else { "" };
    if random.below(2) == 0 {
        let function = random.pick(&COUNTS);
        return format!("{function}({selector}{pipeline}{survives} [{range}]{offset})");
    }
    let function = random.pick(&UNWRAPPED);
    let unwrap = random.pick(&UNWRAPS);
    let parser = random.pick(&["| json", "| logfmt", "| json | logfmt"]);
    let param = if function == "quantile_over_time" { random.pick(&["0.5, ", "0.99, ", "1.5, "]) } else { "" };
    let grouped = !matches!(function, "sum_over_time" | "rate" | "rate_counter" | "absent_over_time");
    let grouping =
        if grouped { random.pick(&["", "", " by (app)", " by (status, level)", " without (pod)", " by ()"]) } else { "" };
    format!("{function}({param}{selector}{pipeline} {parser} | {unwrap}{survives} [{range}]{offset}){grouping}")
}

/// Makes the text of a query.
pub fn generate(random: &mut Random) -> String {
    if random.below(2) == 0 {
        return format!("{}{}", random.pick(&SELECTORS), pipeline(random));
    }
    let inner = range_aggregation(random);
    match random.below(7) {
        0 => format!("sum({inner})"),
        1 => format!(
            "sum by ({}) ({inner})",
            random.pick(&["app", "app, pod", "level", "status", "detected_level", "app, detected_level", "app_extracted"])
        ),
        2 => format!("max without (pod) ({inner})"),
        3 => format!("topk(2, {inner})"),
        4 => format!("sum by (app) ({inner}) / count by (app) ({inner})"),
        _ => inner,
    }
}
