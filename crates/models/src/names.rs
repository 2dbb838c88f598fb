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
