//! The selectors of a plan: what `query_exemplars` looks for.

use model::Matcher;
use plan::Node;
use plan::logical::RangeInput;

/// Returns the matchers of every selector.
pub fn of(node: &Node) -> Vec<Vec<Matcher>> {
    let mut sets = Vec::new();
    collect(node, &mut sets);
    sets
}

fn collect(node: &Node, sets: &mut Vec<Vec<Matcher>>) {
    match node {
        Node::Instant(select) | Node::Range(RangeInput::Select { select, .. }) => sets.push(select.matchers.clone()),
        Node::Range(RangeInput::Subquery { node, .. }) => collect(node, sets),
        Node::Call(call) => call.args.iter().for_each(|argument| collect(argument, sets)),
        Node::Aggregate(aggregate) => {
            aggregate.param.iter().for_each(|param| collect(param, sets));
            collect(&aggregate.input, sets);
        }
        Node::Binary(binary) => {
            collect(&binary.left, sets);
            collect(&binary.right, sets);
        }
        Node::Negate(inner, _) | Node::StepInvariant(inner) => collect(inner, sets),
        Node::Literal(_) | Node::Text(_) | Node::LogWindow(_) | Node::Logs(_) => {}
    }
}
