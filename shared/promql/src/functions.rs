//! Signatures of the functions (upstream `promql/parser/functions.go`).

use crate::ast::Function;

/// What an expression may evaluate to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// One number.
    Scalar,
    /// One value per series.
    Vector,
    /// Samples of a window.
    Matrix,
    /// A string.
    Text,
}

impl Type {
    /// Returns the type's name in errors.
    pub fn as_str(self) -> &'static str {
        match self {
            Type::Scalar => "scalar",
            Type::Vector => "instant vector",
            Type::Matrix => "range vector",
            Type::Text => "string",
        }
    }
}

/// A function's arguments.
#[derive(Clone, Copy, Debug)]
pub struct Signature {
    /// Types of the arguments, optional and repeated ones last.
    pub args: &'static [Type],
    /// Fewest arguments.
    pub least: usize,
    /// Most arguments; `None` is any number of the last type.
    pub most: Option<usize>,
}

/// Reports whether a function needs `promql-experimental-functions`.
pub fn is_experimental(function: Function) -> bool {
    use Function::*;
    matches!(
        function,
        DoubleExponentialSmoothing
            | End
            | HistogramQuantiles
            | Info
            | MadOverTime
            | MaxOf
            | MinOf
            | Range
            | SortByLabel
            | SortByLabelDesc
            | Start
            | StartTimestamp
            | Step
            | TsOfFirstOverTime
            | TsOfLastOverTime
            | TsOfMaxOverTime
            | TsOfMinOverTime
    )
}

/// Returns a function's signature.
pub fn signature(function: Function) -> Signature {
    use Function::*;
    use Type::{Matrix, Scalar as S, Text as T, Vector as V};
    let exact = |args: &'static [Type]| Signature { args, least: args.len(), most: Some(args.len()) };
    match function {
        Pi | Time | Start | End | Step | Range => exact(&[]),
        Vector => exact(&[S]),
        MaxOf | MinOf => exact(&[S, S]),
        Clamp => exact(&[V, S, S]),
        ClampMax | ClampMin => exact(&[V, S]),
        Round => Signature { args: &[V, S], least: 1, most: Some(2) },
        DayOfMonth | DayOfWeek | DayOfYear | DaysInMonth | Hour | Minute | Month | Year => {
            Signature { args: &[V], least: 0, most: Some(1) }
        }
        HistogramFraction => exact(&[S, S, V]),
        HistogramQuantile => exact(&[S, V]),
        HistogramQuantiles => Signature { args: &[V, T, S, S], least: 3, most: Some(12) },
        LabelReplace => exact(&[V, T, T, T, T]),
        LabelJoin => Signature { args: &[V, T, T, T], least: 3, most: None },
        SortByLabel | SortByLabelDesc => Signature { args: &[V, T], least: 1, most: None },
        Info => Signature { args: &[V, V], least: 1, most: Some(2) },
        QuantileOverTime => exact(&[S, Matrix]),
        PredictLinear => exact(&[Matrix, S]),
        DoubleExponentialSmoothing => exact(&[Matrix, S, S]),
        AbsentOverTime | AvgOverTime | Changes | CountOverTime | Delta | Deriv | FirstOverTime | Idelta | Increase | Irate
        | LastOverTime | MadOverTime | MaxOverTime | MinOverTime | PresentOverTime | Rate | Resets | StddevOverTime
        | StdvarOverTime | SumOverTime | TsOfFirstOverTime | TsOfLastOverTime | TsOfMaxOverTime | TsOfMinOverTime => {
            exact(&[Matrix])
        }
        _ => exact(&[V]),
    }
}
