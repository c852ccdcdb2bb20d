//! Every benchmark does what it says: each case checks itself, see `cases`. Nothing is timed here.

// The bench target reads the titles and the times; here only the cases are run.
#[expect(dead_code, reason = "titles and texts are for the bench target's table")]
mod cases;

#[test]
fn every_case_does_its_job() {
    for group in cases::groups() {
        assert!(group.cases.len() >= 2, "{}: ours and a peer", group.title);
        for case in group.cases {
            println!("{}: {}", group.title, case.name);
            (case.run)(1_000);
        }
    }
}
