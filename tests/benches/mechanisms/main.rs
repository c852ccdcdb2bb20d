//! How the core's mechanisms compare with what else could have been taken for the job.
//!
//! `cargo bench -p soundpost-tests` prints one table for each job, in Markdown: nanoseconds, their ratio to ours,
//! and (where valgrind is installed) instructions and atomic instructions. `docs/benchmarks.md` says how to read
//! them and why each peer is there. Words after `--` choose jobs by their titles: `-- pool`.

mod cases;
mod count;
mod timing;

use cases::{Group, groups};
use count::Count;
use timing::Timing;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(told) = arguments.split_first().filter(|(first, _)| *first == "--repeat") {
        return count::repeat(told.1);
    }
    let words: Vec<&String> = arguments.iter().filter(|word| !word.starts_with("--")).collect();
    let chosen = |group: &Group| words.is_empty() || words.iter().any(|word| group.title.contains(word.as_str()));
    // Without this mark it is `cargo test` that runs us: nobody wants figures.
    let measured = arguments.iter().any(|argument| argument == "--bench");
    for group in groups().into_iter().filter(chosen) {
        if measured {
            print_table(&group);
        } else {
            for case in group.cases {
                (case.run)(100);
            }
        }
    }
}

fn print_table(group: &Group) {
    println!("### {}\n\n{}\n", group.title, group.what);
    println!("| | ns | ratio | 10 % to 90 % | instructions | of them atomic |");
    println!("|---|--:|--:|--:|--:|--:|");
    for (place, (case, timing)) in group.cases.iter().zip(timing::race(group)).enumerate() {
        let Timing { nanoseconds, ratio, low, high } = timing;
        let count = if group.threads == 1 { Count::of(group.title, place) } else { None };
        let (instructions, atomic) = match count {
            Some(count) => (format!("{:.0}", count.instructions), format!("{:.0}", count.atomic)),
            None => ("–".into(), "–".into()),
        };
        let name = case.name;
        println!("| {name} | {nanoseconds:.1} | {ratio:.2} | {low:.2} to {high:.2} | {instructions} | {atomic} |");
    }
    println!();
}
