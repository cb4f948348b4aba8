use tollgate_guest::tool;

/// Greets someone.
#[tool]
struct Greeter {
    name: String,
}

fn main() {}
