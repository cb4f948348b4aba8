//! How the command line of test programs with a main function of their own is read.

use tollgate_workspace::own_main::Selection;

const NAMES: [&str; 4] = ["kills", "random_kills", "torn", "full_disk"];

fn chosen(words: &[&str]) -> Vec<&'static str> {
    let selection = Selection::parse(words).expect("words that are known");
    NAMES.into_iter().filter(|name| selection.has(name)).collect()
}

#[test]
fn filters_choose_by_part_of_a_name_and_add_up() {
    assert_eq!(chosen(&[]), NAMES);
    assert_eq!(chosen(&["kills"]), ["kills", "random_kills"]);
    assert_eq!(chosen(&["torn", "disk"]), ["torn", "full_disk"]);
    assert_eq!(chosen(&["none"]), [""; 0]);
}

#[test]
fn exact_takes_whole_names_and_skip_takes_away() {
    assert_eq!(chosen(&["--exact", "kills"]), ["kills"]);
    assert_eq!(chosen(&["kills", "--exact", "--skip=kills"]), [""; 0]);
    assert_eq!(chosen(&["--skip", "kills"]), ["torn", "full_disk"]);
    assert_eq!(chosen(&["--skip=torn", "--skip", "disk", "--nocapture"]), ["kills", "random_kills"]);
}

/// Their values are no filters, and no test is ignored.
#[test]
fn options_of_libtest_do_what_they_do_there() {
    assert_eq!(chosen(&["--ignored"]), [""; 0]);
    assert_eq!(chosen(&["--test-threads", "1", "--color=never", "torn"]), ["torn"]);
}

#[test]
fn what_is_not_known_is_refused() {
    for words in [&["--shuffle"][..], &["--skip"], &["-x", "kills"]] {
        assert!(Selection::parse(words).is_err(), "{words:?}");
    }
    assert!(Selection::parse(&["--list", "kills"]).is_ok_and(|selection| selection.lists));
}
