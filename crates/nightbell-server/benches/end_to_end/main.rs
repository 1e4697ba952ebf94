/*!
From PutLogEvents to the mail server's "250 OK", with the real program, real sockets and a real disk.

For each size of rule set a server is started on an empty folder. Measured are the time from just before a deciding
event is sent until its mail is accepted, while ordinary events come in at a fixed rate; and how many events a second of
CPU time takes from the socket through signature, disk and filters, as fast as they can be sent.

`cargo bench -p nightbell-server --bench end_to_end -- [--filters LIST] [--rates LIST] [--seconds N] [--probes N]
[--runs N] [--default 1]`; see `docs/benchmarks.md`. `NIGHTBELL_BENCH_FOLDER` names the disk to measure.
*/
#![allow(missing_docs)]
#![allow(clippy::print_stdout, reason = "a benchmark speaks to the terminal")]
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock and /proc")]

mod client;
mod events;
mod measure;
mod process;
mod setting;

use measure::{Latency, Throughput};
use process::{MailServer, Server};
use setting::Setting;

/// What is measured; each can be given on the command line under its name.
struct Plan {
    /// Sizes of rule sets.
    filters: Vec<usize>,
    /// Events a second that come in while latency is measured.
    rates: Vec<usize>,
    /// How long each measurement takes.
    seconds: u64,
    /// Deciding events of each latency measurement.
    probes: usize,
    /// Repetitions of each throughput measurement; the median is told.
    runs: usize,
    /// Whether the filters add a zero for every event that does not match.
    default: bool,
}

fn main() {
    let plan = Plan::read(std::env::args().skip(1));
    let root = std::env::var_os("NIGHTBELL_BENCH_FOLDER").map_or_else(std::env::temp_dir, Into::into);
    let mut latencies = Vec::new();
    let mut throughputs = Vec::new();
    for &filters in &plan.filters {
        let folder = tempfile::tempdir_in(&root).expect("the folder can be written");
        let mail = MailServer::start();
        let server = Server::start(folder.path(), mail.port);
        let mut setting = Setting::new(&server, &mail);
        let began = std::time::Instant::now();
        setting.put_filters(filters, plan.default);
        println!("{filters} filters put in {:.1} s", began.elapsed().as_secs_f64());
        for &rate in &plan.rates {
            let tokens = setting.put_alarms(&format!("{filters}x{rate}"), plan.probes);
            latencies.push((filters, rate, measure::latency(&mut setting, rate, plan.seconds, &tokens)));
        }
        let mut runs: Vec<Throughput> =
            (0..plan.runs).map(|_| measure::throughput(&mut setting, plan.seconds)).collect();
        runs.sort_by(|a, b| a.per_cpu_second.total_cmp(&b.per_cpu_second));
        throughputs.push((filters, server.memory_mib_max(), runs));
    }
    tell_latencies(&latencies);
    tell_throughputs(&throughputs);
}

fn tell_latencies(measured: &[(usize, usize, Latency)]) {
    if measured.is_empty() {
        return;
    }
    println!("\nfrom PutLogEvents to SMTP acceptance, ms");
    println!("filters  events/s     sent/s   mails   median      p90      p99      max  server CPU");
    for (filters, rate, latency) in measured {
        let at = |share| latency.quantile_ms(share);
        println!(
            "{filters:>7}  {rate:>8}  {:>9.0}  {:>3}/{:<3} {:>7.1}  {:>7.1}  {:>7.1}  {:>7.1}  {:>9.0}%",
            latency.events_per_second,
            latency.ms.len(),
            latency.probes,
            at(0.5),
            at(0.9),
            at(0.99),
            at(1.0),
            latency.cpu_share * 100.0,
        );
    }
}

fn tell_throughputs(measured: &[(usize, u64, Vec<Throughput>)]) {
    println!("\nas fast as possible, socket to durable and matched; median of the runs (least to most)");
    println!("filters  events/s  events/CPU-s  (least to most)    µs CPU/event  behind ms  memory MiB");
    for (filters, memory_mib, runs) in measured {
        let (Some(least), Some(most)) = (runs.first(), runs.last()) else { continue };
        let median = &runs[runs.len() / 2];
        println!(
            "{filters:>7}  {:>8.0}  {:>12.0}  ({:>6.0} to {:>6.0})  {:>12.1}  {:>9.0}  {memory_mib:>10}",
            median.per_second,
            median.per_cpu_second,
            least.per_cpu_second,
            most.per_cpu_second,
            1e6 / median.per_cpu_second,
            median.behind_ms,
        );
    }
}

impl Plan {
    fn read(arguments: impl Iterator<Item = String>) -> Self {
        let mut plan = Self {
            filters: vec![1, 10, 1_000, 10_000],
            rates: vec![5_000, 20_000],
            seconds: 10,
            probes: 100,
            runs: 3,
            default: false,
        };
        let mut arguments = arguments.filter(|argument| argument != "--bench");
        while let Some(name) = arguments.next() {
            let value = arguments.next().unwrap_or_default();
            let list = || value.split(',').filter(|n| !n.is_empty()).map(number).collect();
            match name.as_str() {
                "--filters" => plan.filters = list(),
                "--rates" => plan.rates = list(),
                "--seconds" => plan.seconds = number(&value) as u64,
                "--probes" => plan.probes = number(&value),
                "--runs" => plan.runs = number(&value),
                "--default" => plan.default = number(&value) > 0,
                other => {
                    panic!(
                        "no option {other}; there are --filters, --rates, --seconds, --probes, --runs, --default"
                    )
                }
            }
        }
        plan
    }
}

fn number(text: &str) -> usize {
    text.parse().unwrap_or_else(|_| panic!("{text:?} is no number"))
}
