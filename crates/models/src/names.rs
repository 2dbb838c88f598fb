//! The authors' own parameter names, as their public code saves them.
//!
//! There every layer is wrapped, and one tensor stands under several names: `conv1_s.layer.module.weight` for
//! `conv1.weight`; `bn1.bn.weight` and `bn1.seqbn.module.weight` for `bn1.weight`; `downsample.layer.module.weight`
//! for `downsample.0.weight`; `fc1_s.layer.module.weight` for `fc1.weight`.

/// Translates a name of the authors' files; a name that is already PyTorch's comes back unchanged.
///
/// ```
/// # use spikegrad_models::names::canonical;
/// assert_eq!(canonical("layer1.0.conv1_s.bn.bn.weight"), "layer1.0.bn1.weight");
/// assert_eq!(canonical("layer1.0.downsample.layer.module.weight"), "layer1.0.downsample.0.weight");
/// assert_eq!(canonical("layer1.0.downsample.bn.seqbn.module.bias"), "layer1.0.downsample.1.bias");
/// assert_eq!(canonical("fc1_s.layer.module.weight"), "fc1.weight");
/// assert_eq!(canonical("conv1.weight"), "conv1.weight");
/// ```
pub fn canonical(name: &str) -> String {
    let mut out: Vec<String> = Vec::new();
    for part in name.split('.') {
        let last = out.last().cloned().unwrap_or_default();
        match part {
            "layer" | "module" | "seqbn" => {}
            "bn" if last.starts_with("bn") || last == "downsample:bn" => {}
            "bn" if last == "downsample" => {
                out.pop();
                out.push("downsample:bn".into());
            }
            "bn" if last.starts_with("conv") => {
                out.pop();
                out.push(last.replace("conv", "bn"));
            }
            _ => out.push(part.strip_suffix("_s").unwrap_or(part).to_string()),
        }
    }
    if let Some(at) = out.iter().position(|part| part == "downsample")
        && out.get(at + 1).is_some_and(|next| next.parse::<usize>().is_err())
    {
        out.insert(at + 1, "0".into());
    }
    out.join(".").replace("downsample:bn", "downsample.1")
}

/// The prefixes that wrappers put before every name: `torch.compile`, `DataParallel`, and modules that hold the net as their `model`.
const WRAPPERS: [&str; 3] = ["_orig_mod.", "module.", "model."];

/// The wrappers' prefix that all names share, one wrapper after the other; empty where there is none.
///
/// ```
/// # use spikegrad_models::names::shared_prefix;
/// assert_eq!(shared_prefix(["_orig_mod.module.fc1.weight", "_orig_mod.module.fc1.bias"].into_iter()), "_orig_mod.module.");
/// assert_eq!(shared_prefix(["model.fc1.weight", "fc2.weight"].into_iter()), "");
/// ```
pub fn shared_prefix<'a>(names: impl Iterator<Item = &'a str> + Clone) -> &'a str {
    let first = names.clone().next().unwrap_or("");
    let mut length = 0;
    let shared = |length: usize, wrapper: &str| {
        names.clone().all(|name| name.get(length..).is_some_and(|rest| rest.starts_with(wrapper)))
    };
    while let Some(wrapper) = WRAPPERS.iter().find(|wrapper| !first.is_empty() && shared(length, wrapper)) {
        length += wrapper.len();
    }
    &first[..length]
}
