//! What a first start that failed or crashed leaves behind, and that the next start copes with it.

use tests::ca::Setup;
use tests::ca::TestCa;

#[test]
fn a_first_start_that_ends_before_there_is_a_ledger_does_not_stop_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let setup = || Setup {
        data_dir: Some(data.clone()),
        ..Setup::default()
    };
    std::fs::write(data.join("ledger"), "in the way").unwrap();
    TestCa::try_start(setup()).unwrap_err();
    std::fs::remove_file(data.join("ledger")).unwrap();
    let ca = TestCa::start_with(setup());
    assert_eq!(ca.roots_pem().matches("BEGIN CERTIFICATE").count(), 1);
}

#[test]
fn of_two_servers_that_race_on_a_fresh_directory_one_wins_and_the_other_says_so() {
    for round in 0..5 {
        let dir = tempfile::tempdir().unwrap();
        let racer = || {
            let data_dir = Some(dir.path().join("data"));
            move || {
                TestCa::try_start(Setup {
                    data_dir,
                    ..Setup::default()
                })
            }
        };
        let (first, second) = (std::thread::spawn(racer()), std::thread::spawn(racer()));
        let outcomes = [first.join().unwrap(), second.join().unwrap()];
        let lost: Vec<&String> = outcomes
            .iter()
            .filter_map(|outcome| outcome.as_ref().err())
            .collect();
        assert_eq!(lost.len(), 1, "round {round}: {lost:?}");
        assert!(lost[0].contains("in use by another ca-server"), "{lost:?}");
        let winner = outcomes
            .iter()
            .find_map(|outcome| outcome.as_ref().ok())
            .unwrap();
        assert_eq!(winner.roots_pem().matches("BEGIN CERTIFICATE").count(), 1);
    }
}
