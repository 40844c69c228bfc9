//! Where a law of the table does not hold, the error stands at the word that breaks it.

/// Checks a law at a word of the table.
// All that a macro makes stands at its whole invocation, but for a name that it was given
// and that is a value by itself: a field that is called like its value. The law is what
// the value is cast to there.
#[doc(hidden)]
#[macro_export]
macro_rules! __workflow_law {
    (@row $n:ident) => {
        $crate::__workflow_law! { SomeTime at $n: step::$n, __made::leaves_time(&<step::$n as __made::Declared>::STEP) }
        $crate::__workflow_law! { SomePeople at $n: step::$n, __made::asks_people(&<step::$n as __made::Declared>::STEP) }
        $crate::__workflow_law! { InTime at $n: step::$n, __made::reminds_in_time(&<step::$n as __made::Declared>::STEP) }
    };
    ($law:ident at $word:ident: $what:ty, $holds:expr) => {
        const _: () = {
            const $word: &<__made::Law<{ $holds }> as __made::Word>::Is =
                <__made::Law<{ $holds }> as __made::Word>::IS;
            struct At { $word: &'static dyn __made::$law<$what> }
            let _ = At { $word };
        };
    };
}
