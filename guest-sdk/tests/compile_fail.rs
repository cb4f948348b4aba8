//! What a newcomer gets wrong, and what the compiler says to do. Each file is one mistake; its `.stderr` is the message.

#[test]
fn each_mistake_has_a_message() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
