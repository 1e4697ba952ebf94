/*!
The table and the plot of `docs/internals/anomaly.md`: our band beside three-sigma rules and the detectors of augurs.

`cargo run --release --manifest-path trials/anomaly/Cargo.toml` prints the table and writes the plot. The series and
the judge are those of the core's own tests.
*/

#![allow(clippy::disallowed_methods)] // a trial reads clocks

use std::time::Instant;

use nightbell_core::anomaly::Model;

mod augurs;
#[path = "../../../crates/nightbell-core/tests/anomaly/judge.rs"]
mod judge;
mod plot;
#[path = "../../../crates/nightbell-core/tests/anomaly/world.rs"]
mod world;

use judge::Worth;
use world::{HOUR, PERIOD_S, STORIES, Story, World};

/// Series of each story.
const SEEDS: u64 = 5;
/// Widths of our band.
const WIDTHS: [f64; 3] = [2.0, 3.0, 4.0];

/// A detector's name and the periods in which it alarms.
type Verdict = (String, Vec<bool>);

fn main() {
    let mut overall: Vec<(String, Worth)> = Vec::new();
    for story in STORIES {
        let mut rows: Vec<(String, Worth)> = Vec::new();
        for seed in 0..SEEDS {
            let world = World::new(story, seed);
            for (name, breaching) in verdicts(&world) {
                let worth = Worth::of(&world, &breaching);
                for table in [&mut rows, &mut overall] {
                    match table.iter_mut().find(|(held, _)| *held == name) {
                        Some((_, sum)) => sum.add(&worth),
                        None => table.push((name.clone(), worth.clone())),
                    }
                }
            }
        }
        print_table(&format!("{story:?}"), &rows);
    }
    print_table("All", &overall);
    measure();
    plot::write(&World::new(Story::Batch, 0), "docs/internals/anomaly.svg");
}

fn verdicts(world: &World) -> Vec<Verdict> {
    let mut verdicts: Vec<Verdict> = Vec::new();
    for (width, breaching) in WIDTHS.iter().zip(judge::ours(world, &WIDTHS)) {
        verdicts.push((format!("Nightbell's band, width {width}"), breaching));
    }
    for sigmas in [3.0, 4.0] {
        verdicts.push((
            format!("{sigmas} sigma of two weeks"),
            judge::sigmas_recent(world, judge::GLOBAL, sigmas),
        ));
        verdicts
            .push((format!("{sigmas} sigma of a day"), judge::sigmas_recent(world, judge::ROLLING, sigmas)));
        verdicts.push((
            format!("{sigmas} sigma of this hour of the week"),
            judge::sigmas_seasonal(world, sigmas),
        ));
    }
    for threshold in [3.0, 4.0] {
        verdicts.push((format!("augurs MAD, threshold {threshold}"), augurs::mad(world, threshold)));
    }
    verdicts.push(("augurs DBSCAN, sensitivity 0.5".to_owned(), augurs::dbscan(world, 0.5)));
    for sigmas in [3.0, 4.0] {
        verdicts.push((format!("augurs MSTL + ETS, {sigmas} sigma"), augurs::mstl(world, sigmas)));
    }
    verdicts.push(("augurs change points".to_owned(), augurs::change_points(world)));
    verdicts
}

fn print_table(title: &str, rows: &[(String, Worth)]) {
    println!("\n### {title}\n");
    println!("| detector | false alarms a week | small | middling | large | drops | minutes |");
    println!("|---|---|---|---|---|---|---|");
    for (name, worth) in rows {
        let share = |slot: usize| match worth.found[slot].1 {
            0 => "-".to_owned(),
            _ => format!("{:.0} %", 100.0 * worth.share(slot)),
        };
        println!(
            "| {name} | {:.1} | {} | {} | {} | {} | {:.1} |",
            worth.false_a_week(),
            share(0),
            share(1),
            share(2),
            share(3),
            worth.delay_minutes()
        );
    }
}

/// Size and cost of a full model.
fn measure() {
    let world = World::new(Story::Office, 0);
    let mut model = Model::new(&judge::detector(world.story), PERIOD_S);
    let values: Vec<(i64, f64)> = world
        .values
        .iter()
        .enumerate()
        .filter_map(|(at, value)| Some((World::second(at), (*value)?)))
        .collect();
    let begin = Instant::now();
    for (second, value) in &values {
        model.learn(*second, *value);
    }
    let learning = begin.elapsed().as_nanos() as f64 / values.len() as f64;
    let end = world.values.len();
    let asked = 20_000;
    let begin = Instant::now();
    let known = (0..asked).filter(|n| model.band(World::second(end + n * HOUR), 2.0).is_some()).count();
    let asking = begin.elapsed().as_nanos() as f64 / asked as f64;
    let bytes = postcard::to_allocvec(&model).expect("a model has a stored form").len();
    println!(
        "\nmodel {bytes} bytes; learn {learning:.0} ns a value; band {asking:.0} ns ({known} of {asked})"
    );
}
