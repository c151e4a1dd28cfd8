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
