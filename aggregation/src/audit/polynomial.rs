//! Polynomials over Z_q, given by their values at 0, 1, 2, ..

use crate::audit::element::Element;

/// Weights of the values at 0..=`degree` in the value at `point` (Lagrange): of a polynomial of at
/// most that degree. In both fields the differences of the nodes are not zero.
pub(crate) fn weights(degree: usize, point: Element) -> Vec<Element> {
    let node = |i: usize| Element::from(i as i64);
    let nodes = 0..=degree;
    nodes
        .clone()
        .map(|i| {
            let (mut above, mut below) = (Element::ONE, Element::ONE);
            for j in nodes.clone().filter(|&j| j != i) {
                above = above * (point - node(j));
                below = below * (node(i) - node(j));
            }
            above * below.inverse()
        })
        .collect()
}

/// `sum_i weights_i values_i`.
pub(crate) fn combine(weights: &[Element], values: impl IntoIterator<Item = Element>) -> Element {
    weights.iter().zip(values).map(|(&weight, value)| weight * value).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::audit::element::tests::element;

    fn evaluate(coefficients: &[Element], point: Element) -> Element {
        coefficients.iter().rev().fold(Element::ZERO, |value, &c| value * point + c)
    }

    proptest! {
        #[test]
        fn values_give_the_polynomial_everywhere(
            coefficients in proptest::collection::vec(element(), 1..20),
            (point, _) in element(),
        ) {
            let coefficients: Vec<Element> = coefficients.into_iter().map(|(c, _)| c).collect();
            let degree = coefficients.len() - 1;
            let values = (0..=degree).map(|i| evaluate(&coefficients, Element::from(i as i64)));
            let got = combine(&weights(degree, point), values);
            prop_assert_eq!(got, evaluate(&coefficients, point));
        }
    }

    #[test]
    fn a_node_has_its_own_value() {
        for i in 0..=5 {
            let weights = weights(5, Element::from(i as i64));
            for (j, weight) in weights.iter().enumerate() {
                assert_eq!(*weight, if i == j { Element::ONE } else { Element::ZERO });
            }
        }
    }
}
