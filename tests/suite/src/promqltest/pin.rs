//! Fixes a plan to one time: `@ t` on every selector and outermost subquery that has none.

use model::TimestampMs;
use plan::Node;
use plan::logical::RangeInput;

/// Fixes a node.
pub fn pin(node: &mut Node, t: TimestampMs) {
    match node {
        Node::Instant(select) | Node::Range(RangeInput::Select { select, .. }) => {
            select.at.get_or_insert(t);
        }
        Node::Range(RangeInput::Subquery { at, .. }) => {
            at.get_or_insert(t);
        }
        Node::Call(call) => call.args.iter_mut().for_each(|arg| pin(arg, t)),
        Node::Aggregate(aggregate) => {
            aggregate.param.iter_mut().for_each(|param| pin(param, t));
            pin(&mut aggregate.input, t);
        }
        Node::Binary(binary) => {
            pin(&mut binary.left, t);
            pin(&mut binary.right, t);
        }
        Node::Negate(inner, _) | Node::StepInvariant(inner) => pin(inner, t),
        Node::Literal(_) | Node::Text(_) | Node::LogWindow(_) | Node::Logs(_) => {}
    }
}
