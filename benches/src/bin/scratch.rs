fn main() {
    for n in [2048usize, 4096] { for q in [1_125_899_906_826_241u64, 1_125_899_906_629_633] {
        let p = tfhe_ntt::prime64::Plan::try_new(n, q).unwrap();
        let mut x = vec![0u64; n]; x[1] = 1; p.fwd(&mut x);
        println!("{n} {q} {:?}", &x[..4]);
    } }
}
