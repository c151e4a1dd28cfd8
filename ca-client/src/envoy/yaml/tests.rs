use super::*;

#[test]
fn everything_remembers_its_line_across_documents() {
    let text = "---\n# nothing\n---\na:\n  b: x\n  c:\n  - 1\n  - \"~\"\n---\nd: ~\n";
    let documents = parse(text).unwrap();
    let Content::Map(entries) = &documents[0].content else {
        panic!("{documents:?}")
    };
    let Content::Map(inner) = &entries[0].value.content else {
        panic!("{entries:?}")
    };
    assert_eq!((entries[0].line, inner[0].line, inner[1].line), (4, 5, 6));
    let Content::List(items) = &inner[1].value.content else {
        panic!("{inner:?}")
    };
    let scalar = |text: &str, line| Node {
        line,
        content: Content::Scalar(text.to_owned()),
    };
    assert_eq!(items, &[scalar("1", 7), scalar("~", 8)]);
    let Content::Map(second) = &documents[1].content else {
        panic!("{documents:?}")
    };
    assert_eq!(
        (second[0].line, &second[0].value.content),
        (10, &Content::Null)
    );
    assert_eq!(documents.len(), 2);
}

#[test]
fn what_readers_disagree_about_is_refused_with_its_line() {
    let deep = format!("a: {}{}", "[".repeat(100), "]".repeat(100));
    for (text, line, part) in [
        (
            "a: 1\nb: 2\na: 3\n",
            3,
            "the key a is there twice, first on line 1",
        ),
        ("a: &x 1\n", 1, "an anchor"),
        ("a: 1\nb: *x\n", 2, ""),
        ("a: !!str 1\n", 1, "a tag"),
        ("? [a]\n: 1\n", 1, "expected a name"),
        ("a: 1\n  b: 2\n", 2, "not YAML"),
        ("a: [1\n", 2, "not YAML"),
        (&deep, 1, "nested too deep"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(
            error.line == line && error.reason.contains(part),
            "{text:?}: {error:?}"
        );
    }
}
