//! Rates from two readings of a server's own metrics.

use super::Rates;

/// What one reading says.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct Counters {
    samples: f64,
    metric_requests: f64,
    log_bytes: f64,
    log_requests: f64,
    queries: f64,
}

/// Reads a page of metrics; what is not there counts as zero.
pub fn parse(page: &str) -> Counters {
    let mut counters = Counters::default();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let Some((series, value)) = line.rsplit_once(' ') else { continue };
        let value: f64 = value.parse().unwrap_or(0.0);
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let says = |label: &str| labels.contains(label);
        match name {
            "lamella_ingest_rows_total" if says("kind=\"sample\"") || says("kind=\"histogram\"") => counters.samples += value,
            "lamella_ingest_requests_total" if says("outcome=\"stored\"") => match says("loki") || says("logs") {
                true => counters.log_requests += value,
                false => counters.metric_requests += value,
            },
            "lamella_ingest_line_bytes_total" => counters.log_bytes += value,
            "lamella_http_requests_total" if says("status=\"200\"") && (says("/query\"") || says("/query_range\"")) => {
                counters.queries += value;
            }
            _ => {}
        }
    }
    counters
}

impl Counters {
    /// Returns the rates between an earlier reading and this one, `seconds` apart. A server that began anew counts from zero.
    pub fn since(&self, before: &Counters, seconds: f64) -> Rates {
        let rate = |after: f64, before: f64| if after < before { after / seconds } else { (after - before) / seconds };
        Rates {
            samples: rate(self.samples, before.samples),
            metric_requests: rate(self.metric_requests, before.metric_requests),
            log_bytes: rate(self.log_bytes, before.log_bytes),
            log_requests: rate(self.log_requests, before.log_requests),
            queries: rate(self.queries, before.queries),
            ..Rates::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_differences_by_time() {
        let page = |n: u64| {
            format!(
                "# HELP x y\nlamella_ingest_rows_total{{kind=\"sample\"}} {n}\nlamella_ingest_rows_total{{kind=\"entry\"}} 7\n\
                 lamella_ingest_requests_total{{protocol=\"remote_write\",outcome=\"stored\"}} {n}\n\
                 lamella_ingest_requests_total{{protocol=\"remote_write\",outcome=\"refused\"}} 9\n\
                 lamella_ingest_requests_total{{protocol=\"loki_push\",outcome=\"stored\"}} {n}\n\
                 lamella_ingest_line_bytes_total {n}\n\
                 lamella_http_requests_total{{route=\"/api/v1/query\",method=\"GET\",status=\"200\"}} {n}\n\
                 lamella_http_requests_total{{route=\"/api/v1/labels\",method=\"GET\",status=\"200\"}} 3\n"
            )
        };
        let rates = parse(&page(300)).since(&parse(&page(100)), 10.0);
        let each = 20.0;
        let expected = Rates {
            samples: each,
            metric_requests: each,
            log_bytes: each,
            log_requests: each,
            queries: each,
            ..Rates::default()
        };
        assert_eq!(rates, expected);
        assert_eq!(parse(&page(50)).since(&parse(&page(100)), 10.0).samples, 5.0, "began anew");
    }
}
