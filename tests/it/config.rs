//! Every file in `config/`, and files that must be refused.

use evenkeel::config::{self, Mode, PRODUCTION_PHRASE};
use evenkeel::inventory::LeastShown;

fn file(name: &str) -> String {
    let path = format!("{}/config/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

/// All problems of a text, as an operator reads them.
fn refused(text: &str) -> String {
    match config::parse(text, "t.toml") {
        Ok(_) => panic!("accepted:\n{text}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn every_file_is_valid_or_is_locked_on_purpose() {
    let dir = format!("{}/config", env!("CARGO_MANIFEST_DIR"));
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let expected =
        ["binance-production.example.toml", "binance-testnet.toml", "demo.toml", "exchange.toml"];
    assert_eq!(names, expected);

    assert_eq!(
        config::parse(&file("demo.toml"), "d").unwrap().settings.environment.mode,
        Mode::Local
    );
    let testnet = config::parse(&file("binance-testnet.toml"), "t").unwrap();
    assert_eq!(testnet.settings.environment.mode, Mode::Testnet);
    assert!(
        testnet.resolved.iter().all(|r| !r.is_default
            || r.key.contains("environment")
            || r.key.contains("http.")
            || r.key.contains("inventory_target")),
        "every key is spelt out"
    );
    config::parse_exchange(&file("exchange.toml"), "e").unwrap();

    let locked = file("binance-production.example.toml");
    let error = refused(&locked);
    assert!(error.contains("1 problem") && error.contains("confirm_production"), "{error}");
    let open = locked.replace("# confirm_production", "confirm_production");
    assert_eq!(config::parse(&open, "p").unwrap().settings.environment.mode, Mode::Production);
}

#[test]
fn demo_and_exchange_fit_together() {
    let demo = config::parse(&file("demo.toml"), "d").unwrap().settings;
    let exchange = config::parse_exchange(&file("exchange.toml"), "e").unwrap().settings;
    for venue in &demo.venues {
        let port = venue.rest_url.rsplit(':').next().unwrap();
        let listens = [exchange.spot_listen, exchange.usdm_listen];
        assert!(listens.iter().flatten().any(|a| a.port().to_string() == port), "{port}");
    }
    for instrument in &demo.instruments {
        let kind = demo.venues[instrument.venue].kind;
        assert!(exchange.markets.iter().any(|m| m.venue == kind && m.symbol == instrument.symbol));
    }
}

/// One change to a good file, and what its message must say.
#[test]
fn naughty_files_are_refused_with_a_reason() {
    let good = file("binance-testnet.toml");
    config::parse(&good, "t.toml").unwrap();
    let table: &[(&str, &str, &[&str])] = &[
        (
            "fair_price = \"weighted_mid\"",
            "fair_price = \"last\"",
            &["signals.fair_price", "\"mid\"", "micro_price"],
        ),
        ("max_move_bps = 300", "max_move_bps = 0", &["reference.max_move_bps", "1 to 10000"]),
        (
            "move_window_ms = 10000",
            "move_window_ms = 10",
            &["reference.move_window_ms", "1000 to 600000"],
        ),
        ("alpha = \"off\"", "alpha = \"on\"", &["signals.alpha", "depth_imbalance"]),
        ("horizon_ms = 1000", "horizon_ms = 0", &["signals.horizon_ms", "100 to 60000"]),
        ("max_alpha_bps = 2.0", "max_alpha_bps = -1.0", &["signals.max_alpha_bps"]),
        ("toxicity_widening = 0.5", "toxicity_widening = nan", &["signals.toxicity_widening"]),
        ("pull_when_toxic = true", "pull_when_toxic = 1", &["signals.pull_when_toxic"]),
        (
            "adverse_from_markouts = true",
            "adverse_from_markout = true",
            &["did you mean `adverse_from_markouts`"],
        ),
        (
            "half_spread_bps = 15",
            "half_spred_bps = 15",
            &["quoting.half_spred_bps", "did you mean `half_spread_bps`"],
        ),
        (
            "source = \"own\" # or",
            "source = \"usdm:DOGEUSDT\" # or",
            &["fair.source", "is \"usdm:DOGEUSDT\"", "\"fused\"", "BTCUSDT"],
        ),
        ("failback_s = 10", "failback_s = -1", &["fair.failback_s", "0 to 3600"]),
        ("basis_half_life_s = 300", "basis_half_life_s = 0", &["fair.basis_half_life_s"]),
        (
            "slow_volatility = \"garman_klass\"",
            "slow_volatility = \"yang_zhang\"",
            &["estimators.slow_volatility", "rogers_satchell"],
        ),
        (
            "slow_volatility = \"garman_klass\"",
            "slow_volatility = \"none\"",
            &["estimators.slow_volatility_window_s", "without slow_volatility"],
        ),
        (
            "order_arrival = \"likelihood\"",
            "order_arrival = \"guess\"",
            &["estimators.order_arrival", "waiting_times"],
        ),
        (
            "half_spread_bps = 15",
            "half_spread_bps = \"wide\"",
            &["half_spread_bps", "must be a finite number"],
        ),
        ("half_spread_bps = 15", "half_spread_bps = inf", &["must be a finite number"]),
        ("half_spread_bps = 15", "half_spread_bps = nan", &["must be a finite number"]),
        ("half_spread_bps = 15", "half_spread_bps = -1", &["is -1; allowed is 0 to 5000"]),
        ("half_spread_bps = 15", "half_spread_bps = 500", &["between min_half_spread_bps = 10"]),
        ("half_spread_bps = 15", "half_spread_bps = 1\nhalf_spread_bps = 2", &["duplicate key"]),
        (
            "max_capital_at_risk_quote = 20",
            "max_capital_at_risk_quote = 0",
            &["capital.max_capital_at_risk_quote", "is 0; allowed is"],
        ),
        ("confidence = 0.99", "confidence = 1.0", &["capital.confidence", "allowed is 0.9 to"]),
        ("horizon_s = 60", "horizon_s = 0", &["capital.horizon_s", "is 0; allowed is 1"]),
        (
            "liquidation_quote_per_s = 1000",
            "liquidation_quote_per_s = 0",
            &["capital.liquidation_quote_per_s"],
        ),
        ("stress_depth = 0.3", "stress_depth = nan", &["capital.stress_depth"]),
        ("stress_sigmas = 6", "stress_sigma = 6", &["did you mean `stress_sigmas`"]),
        ("recv_window_ms = 5000", "recv_window_ms = 60001", &["allowed is 1 to 60000"]),
        ("recv_window_ms = 5000", "recv_window_ms = 1e3", &["must be a whole number"]),
        (
            "recv_window_ms = 5000",
            "recv_window_ms = 99999999999999999999",
            &["must be a whole number"],
        ),
        (
            "kind = \"binance_spot\"",
            "kind = \"binance_options\"",
            &["\"binance_spot\" or \"binance_usdm\""],
        ),
        (
            "kind = \"binance_spot\"",
            "kind = \"binance_spot\"\ndead_man_switch_ms = 60000",
            &["no dead man's switch"],
        ),
        (
            "= \"https://testnet.binance.vision",
            "= \"http://testnet.binance.vision",
            &["over a network only https"],
        ),
        (
            "= \"https://testnet.binance.vision",
            "= \"http://127.0.0.1:1",
            &["allow_plaintext_loopback"],
        ),
        (
            "= \"https://testnet.binance.vision",
            "= \"https://api.binance.com",
            &["production host", "\"testnet\""],
        ),
        (
            "= \"https://testnet.binance.vision",
            "= \"https://API4.Binance.com.",
            &["production host"],
        ),
        (
            "= \"https://testnet.binance.vision",
            "= \"https://u:p@testnet.binance.vision",
            &["base URL has none"],
        ),
        (
            "wss://fstream.binancefuture.com\"\nuser",
            "wss://fstream.binance.com\"\nuser",
            &["production host"],
        ),
        (
            "wss://fstream.binancefuture.com\"\nuser",
            "https://fstream.binancefuture.com\"\nuser",
            &["allowed is wss"],
        ),
        ("mode = \"testnet\"", "mode = \"local\"", &["reaches this machine only"]),
        (
            "mode = \"testnet\"",
            "mode = \"production\"",
            &["confirm_production", "no production host"],
        ),
        ("mode = \"testnet\"", "mode = \"paper\"", &["\"testnet\" or \"local\" or \"production\""]),
        ("source = \"env\"", "source = \"toy\"", &["a real key stands in no configuration"]),
        ("key = \"EVENKEEL_SPOT_KEY\"", "key = \"CANARY0c4711pasted\"", &["revoke it"]),
        (
            "key = \"EVENKEEL_SPOT_KEY\"",
            "key = 4711",
            &["venues[0].keys.key", "must be a quoted text"],
        ),
        (
            "venue = \"spot\"",
            "venue = \"sport\"",
            &["allowed are the venues of this file: spot, usdm"],
        ),
        ("symbol = \"BTCUSDT\"", "symbol = \"btcusdt\"", &["upper-case"]),
        ("role = \"hedge\"", "role = \"quote\"", &["no instrument has role = \"hedge\""]),
        (
            "inventory_target_base = \"as_found\"",
            "inventory_target_base = -1 ",
            &["cannot be below zero"],
        ),
        ("loss_limit_quote_session = 50\n", "", &["risk.loss_limit_quote_session is missing"]),
        (
            "loss_limit_quote_session = 50\n",
            "loss_limit_quote_session = 0\n",
            &["allowed is 0.000000000001 to"],
        ),
        ("trigger_base = 0.004", "trigger_base = 0.0001", &["hedging never ends"]),
        ("trigger_base = 0.004", "trigger_base = 4", &["would never be reached"]),
        ("mode = \"trigger\"", "mode = \"bands\"", &["\"trigger\" or \"band\""]),
        ("execution = \"ioc\"", "execution = \"twap\"", &["\"passive_then_aggressive\""]),
        ("passive_ms = 1000", "passive_ms = 10", &["allowed is 50 to 60000"]),
        (
            "deadline_ms = 5000\nmode = \"trigger\" # \"band\": by what hedging costs now, never beyond \
             trigger_base\nexecution = \"ioc\"",
            "deadline_ms = 1000\nexecution = \"passive_then_aggressive\"",
            &["or no hedge takes"],
        ),
        ("urgent_exposure_pct = 90", "urgent_exposure_pct = 0", &["allowed is 1 to 100"]),
        ("risk_horizon_ms = 60000", "risk_horizon_ms = 0", &["allowed is 100 to"]),
        ("price_collar_bps = 100", "price_collar_bps = 5", &["every quote would be refused"]),
        ("max_slippage_bps = 10", "max_slippage_bps = 100", &["every hedge that takes"]),
        ("max_clock_offset_ms = 1000", "max_clock_offset_ms = 6000", &["would refuse first"]),
        (
            "size_quote = 100",
            "size_quote = 100\nsize_base = 1",
            &["exactly one of size_quote and size_base"],
        ),
        ("offset_bps = 5", "offset_bps = 0", &["offsets must rise"]),
        (
            "model = \"fixed\"",
            "model = \"glft\"",
            &["exactly one of risk_aversion", "order_arrival_per_s is missing"],
        ),
        (
            "model = \"fixed\"",
            "model = \"fixed\"\nrisk_aversion = 0.1",
            &["belongs to model = \"glft\""],
        ),
        (
            "model = \"fixed\"",
            "model = \"fixed\"\nhorizon_s = 60",
            &["quoting.horizon_s", "belongs to model = \"glft\""],
        ),
        (
            "model = \"fixed\"",
            "model = \"cartea_jaimungal\"\nrisk_aversion = 0.1",
            &["exactly one of running_penalty and inventory_std_target_base"],
        ),
        (
            "model = \"fixed\"",
            "model = \"glft\"\nrunning_penalty = 0.1",
            &["exactly one of risk_aversion and inventory_std_target_base"],
        ),
        (
            "model = \"fixed\"",
            "model = \"avellaneda_stoikov\"\nhorizon_s = -1",
            &["quoting.horizon_s is -1; it must be above zero"],
        ),
        ("model = \"fixed\"", "model = \"glft_closed_form\"\nhorizon_s = 60", &["has no horizon"]),
        (
            "cross_asset_skew = false",
            "cross_asset_skew = true",
            &["no effect with model = \"fixed\""],
        ),
        (
            "assumed_latency_ms = 0",
            "assumed_latency_ms = 10001",
            &["is 10001; allowed is 0 to 10000"],
        ),
        ("listen = \"127.0.0.1:9464\"", "listen = \"0.0.0.0:9464\"", &["allow_remote"]),
        ("listen = \"127.0.0.1:9464\"", "listen = \"here\"", &["address:port"]),
        ("order_id_prefix = \"ek\"", "order_id_prefix = \"Even Keel\"", &["a-z and 0-9"]),
        ("[hedge]", "[hedgehog]", &["did you mean `hedge`"]),
        ("[hedge]", "[hedge", &["(syntax)"]),
        ("request_timeout_ms = 5000", "ca_file = \"/nowhere/ca.pem\"", &["no file we can see"]),
    ];
    for (from, to, words) in table {
        assert!(good.contains(from), "{from} is no part of the good file");
        let error = refused(&good.replacen(from, to, 1));
        for word in *words {
            assert!(error.contains(word), "{from} -> {to}: no {word:?} in\n{error}");
        }
        assert!(error.lines().nth(1).unwrap().trim().starts_with("t.toml:"), "{error}");
        assert!(!error.contains("CANARY"), "{error}");
    }
}

#[test]
fn what_counts_as_presence_is_checked() {
    let good = file("binance-testnet.toml");
    for (from, to, words) in [
        ("max_half_spread_bps = 10 #", "max_half_spread_bps = 0 #", "presence.max_half_spread_bps"),
        ("min_quote = 100\n", "min_quote = -1\n", "presence.min_quote"),
        ("min_quote = 100\n", "min_quote = 100\nmin_base = 1\n", "give one of them"),
        ("snapshot_interval_ms = 10000", "snapshot_interval_ms = 1", "allowed is 100 to"),
    ] {
        assert!(good.contains(from), "{from}");
        let error = refused(&good.replacen(from, to, 1));
        assert!(error.contains(words) && error.contains("1 problem"), "{to}: {error}");
    }
    let by_base = good.replacen("min_quote = 100\n", "min_base = 0.5\n", 1);
    let settings = config::parse(&by_base, "t.toml").unwrap().settings;
    assert_eq!(settings.presence.least, LeastShown::Base("0.5".parse().unwrap()));
}

#[test]
fn all_problems_come_at_once_with_their_lines() {
    let good = file("binance-testnet.toml");
    let bad = good
        .replacen("mode = \"testnet\"", "mode = \"fun\"", 1)
        .replacen("size_skew = 0.5", "size_skew = 2", 1)
        .replacen("[log]", "[log]\ncolour = true", 1)
        .replacen("max_net_exposure_quote = 1000\n", "", 1);
    let error = config::parse(&bad, "t.toml").unwrap_err();
    let keys: Vec<&str> = error.problems.iter().map(|p| p.key.as_str()).collect();
    assert_eq!(
        keys,
        ["environment.mode", "quoting.size_skew", "risk.max_net_exposure_quote", "log.colour"],
        "{error}"
    );
    for problem in &error.problems {
        let line = bad.lines().nth(problem.line - 1).unwrap();
        let word = problem.key.split('.').next_back().unwrap();
        assert!(line.contains(word) || line.contains("[risk]"), "{problem:?} points at {line:?}");
    }
}

#[test]
fn nothing_at_all_and_garbage_are_refused_without_a_panic() {
    let error = refused("");
    assert!(error.contains("venues") && error.contains("risk.loss_limit_quote_session"), "{error}");
    for text in
        ["\0", "[[", "venues = 3", "venues = [1]", "[venues]\nname = 1", "a.b.c = 1", "quoting = 1"]
    {
        refused(text);
        config::parse_exchange(text, "e").unwrap_err();
    }
    assert!(!PRODUCTION_PHRASE.is_empty());
}

#[test]
fn keys_that_cannot_be_read_are_named_all_at_once() {
    let text = file("binance-testnet.toml")
        .replacen("source = \"env\"", "source = \"file\"", 1)
        .replacen("EVENKEEL_SPOT_KEY\"", "/nowhere/key\"", 1)
        .replacen("\"EVENKEEL_SPOT_SECRET\"", "\"/dev/null\"", 1)
        .replacen("\"EVENKEEL_USDM_KEY\"", "\"EVENKEEL_SURELY_NOT_SET\"", 1);
    let loaded = config::parse(&text, "t.toml").unwrap();
    let problems = config::read_secrets(&loaded.settings).unwrap_err();
    let all: Vec<String> =
        problems.iter().map(|p| format!("{}:{} {}", p.line, p.key, p.text)).collect();
    let all = all.join("\n");
    for word in ["/nowhere/key", "no regular file", "EVENKEEL_SURELY_NOT_SET", "not set"] {
        assert!(all.contains(word), "no {word:?} in\n{all}");
    }
    assert!(problems.iter().all(|p| p.line > 5), "{all}");
}

/// What a schema of ours says is wrong with a value; only the words that our schemas use.
fn against(schema: &serde_json::Value, value: &serde_json::Value, at: &str) -> Vec<String> {
    use serde_json::Value;
    let mut wrong = Vec::new();
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let is = |name: &str| match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        _ => value.is_number(),
    };
    if !types.is_empty() && !types.into_iter().any(is) {
        wrong.push(format!("{at}: {value} is not {}", schema["type"]));
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        wrong.push(format!("{at}: {value} is none of {words:?}"));
    }
    if let Some(options) = schema["anyOf"].as_array()
        && options.iter().all(|option| !against(option, value, at).is_empty())
    {
        wrong.push(format!("{at}: {value} fits nothing"));
    }
    if schema.get("const").is_some_and(|only| only != value) {
        wrong.push(format!("{at}: {value} is not {}", schema["const"]));
    }
    if let (Some(number), Some(least), Some(most)) =
        (value.as_f64(), schema["minimum"].as_f64(), schema["maximum"].as_f64())
        && !(least..=most).contains(&number)
    {
        wrong.push(format!("{at}: {number} is not {least} to {most}"));
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        wrong.extend(against(&schema["items"], item, &format!("{at}[{index}]")));
    }
    if let (Some(map), Some(known)) = (value.as_object(), schema["properties"].as_object()) {
        for (key, inner) in map {
            match known.get(key) {
                Some(schema) => wrong.extend(against(schema, inner, &format!("{at}.{key}"))),
                None => wrong.push(format!("{at}.{key} is not known")),
            }
        }
        let required = schema["required"].as_array().into_iter().flatten();
        let absent = required.filter(|key| !map.contains_key(key.as_str().unwrap()));
        wrong.extend(absent.map(|key| format!("{at}.{key} is missing")));
    }
    wrong
}

#[test]
fn the_schema_takes_every_file_and_refuses_what_the_reader_refuses() {
    use config::FileKind;
    let json = |text: &str| -> serde_json::Value { toml::from_str(text).unwrap() };
    let (daemon, exchange) = (FileKind::Daemon.schema(), FileKind::Exchange.schema());
    for name in ["binance-production.example.toml", "binance-testnet.toml", "demo.toml"] {
        let wrong = against(&daemon, &json(&file(name)), name);
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
    let wrong = against(&exchange, &json(&file("exchange.toml")), "exchange");
    assert!(wrong.is_empty(), "{wrong:#?}");
    let good = file("binance-testnet.toml");
    for (from, to) in [
        ("half_spread_bps = 15", "half_spred_bps = 15"),
        ("half_spread_bps = 15", "half_spread_bps = \"wide\""),
        ("half_spread_bps = 15", "half_spread_bps = 5001"),
        ("recv_window_ms = 5000", "recv_window_ms = 60001"),
        ("kind = \"binance_spot\"", "kind = \"binance_options\""),
        ("role = \"quote\"", ""),
        ("use_own_order_filter = true", "use_own_order_filter = 1"),
    ] {
        assert!(good.contains(from), "{from}");
        let bad = good.replacen(from, to, 1);
        assert!(!against(&daemon, &json(&bad), "bad").is_empty(), "{to}");
        refused(&bad);
    }
}

#[test]
fn the_reference_page_is_what_the_code_says() {
    let path = format!("{}/deploy/configuration.md", env!("CARGO_MANIFEST_DIR"));
    let page = config::reference();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let told = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(told == page, "{path} is out of date: evenkeel config reference > {path}");
}

#[test]
fn log_settings_are_checked() {
    let good = file("demo.toml");
    let with = |line: &str| good.replace("[log]", &format!("[log]\n{line}"));
    let loaded = config::parse(&with("modules = [\"live=debug\"]\nfile = \"x\""), "t").unwrap();
    let log = loaded.settings.log;
    assert_eq!(log.filter(), "error,evenkeel=info,evenkeel::live=debug");
    assert_eq!(log.file.unwrap().max_bytes, 100 << 20);
    for (line, said) in [
        ("modules = [\"live\"]", "log.modules has \"live\""),
        ("modules = [\"live=loud\"]", "allowed is a module"),
        ("modules = \"live=debug\"", "no list of quoted texts"),
        ("max_file_mb = 0", "log.max_file_mb is 0"),
        ("keep = 101", "log.keep is 101"),
    ] {
        let error = refused(&with(line));
        assert!(error.contains(said), "{error}");
    }
}
