//! What a test chooses of its plan.

/// What a test chooses of its plan, which is for pictures of 2 x 2 pixels in two classes, audited.
pub(crate) struct Plan {
    pub(crate) rounds: u32,
    pub(crate) minimum: u32,
    /// The longest wait for a holder, in seconds.
    pub(crate) holders_s: u32,
    pub(crate) is_audited: bool,
    /// Then the minimum is 5 at least, and coordinator and holders have a pool.
    pub(crate) has_credit: bool,
    /// Whether owners add noise, and keep an account of what it costs.
    pub(crate) has_noise: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            rounds: 1,
            minimum: 3,
            holders_s: 30,
            is_audited: true,
            has_credit: false,
            has_noise: false,
        }
    }
}

/// Examples of a fold, the fewest that a plan may have.
const FOLD: u32 = 30;

impl Plan {
    pub(super) fn text(&self) -> String {
        let Self { rounds, minimum, holders_s, is_audited, has_credit, has_noise } = self;
        let credit = match has_credit {
            true => format!("[credit]\nbudget = 10\nfold = {FOLD}\nsteps = 1\n"),
            false => String::new(),
        };
        // Noise needs room, and owners that count alike.
        let (weighting, bits, range, clip, privacy) = match has_noise {
            true => (
                "\"uniform\"",
                16,
                "128",
                "1.0",
                "[privacy]\nunit = \"owner\"\nnoise_multiplier = 1.0\ndelta = 1e-6\n\
                 colluding_max = 0\nclip_quantile = 0.5\n",
            ),
            false => ("{ capped_examples = 500 }", 12, "0.5", "20.0", ""),
        };
        let (profile, audit) = if *is_audited { ("B", "closed") } else { ("A", "off") };
        format!(
            "schema = \"plan/1\"\nname = \"small\"\npurpose = \"A test\"\nseed = 7\n\
             [data]\nkind = \"image\"\nheight = 2\nwidth = 2\npixel_max = 16\nclasses = 2\n\
             [model]\nlayers = [{{ kind = \"flatten\" }}, {{ kind = \"linear\", out = 2 }}]\n\
             [training]\nrounds = {rounds}\nbatch_size = 4\n\
             optimizer = {{ name = \"sgd\", lr = 0.1 }}\nweighting = {weighting}\n\
             [cohort]\nminimum = {minimum}\nmaximum = 10\n\
             deadlines = {{ select = \"30s\", collect = \"30s\", vote = \"{holders_s}s\", audit = \"{holders_s}s\", \
             release = \"30s\" }}\n\
             [secure_aggregation]\nprofile = \"{profile}\"\nbits = {bits}\nrange = {range}\n\
             clip_norm = {clip}\naudit = \"{audit}\"\n{credit}{privacy}"
        )
    }

    /// A pool with a fold for each round, half of it of either class.
    pub(super) fn pool(&self) -> Option<String> {
        let rows = || (0..(self.rounds + 1) * FOLD).map(|row| example(row as usize, 0)).collect();
        self.has_credit.then(rows)
    }
}

/// A picture with its class.
pub(super) fn example(row: usize, shift: usize) -> String {
    let pixel = |k: usize| (row * (7 + 4 * k) + 3 * k + shift) % 17;
    format!("{},{},{},{},{}\n", pixel(0), pixel(1), pixel(2), pixel(3), row % 2)
}
