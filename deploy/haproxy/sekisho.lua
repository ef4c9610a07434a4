-- The action `lua.sekisho`: asks Sekisho whether a request may go on, over HTTP.
--
-- It sets `txn.sekisho_allowed` for exactly one answer, a status of 200, and gives every other answer of Sekisho to the
-- client itself. Where it fails in any other way it sets nothing. HAProxy goes on after an error in Lua, so the rule
-- behind the action, which denies unless that variable is set, is what closes the door:
--
--     http-request lua.sekisho
--     http-request deny deny_status 503 unless { var(txn.sekisho_allowed) -m bool }
--
-- What it says of the request comes from variables that the configuration sets (`txn.sekisho_…`) and from the headers
-- named in OF_THE_CLIENT, each as often as it stands; no other header of the client leaves this gateway.

local url = os.getenv("SEKISHO_URL") or "http://127.0.0.1:8080"
local key = os.getenv("SEKISHO_KEY")
if key == nil or key == "" then
    error("SEKISHO_KEY is not set: it is the API key of this gateway")
end

local DEADLINE_MS = 500 -- above the service's own deadline for an evaluation (250 ms)

local OF_THE_CLIENT = {
    "authorization", "dpop", "traceparent", "accept", "accept-language", "sec-fetch-mode",
}

-- Facts that the configuration may state, as texts: `str(true)`, for HAProxy makes a 1 of `bool(true)`.
local FACTS = {
    ["x-pdp-resource"] = "txn.sekisho_resource",
    ["x-pdp-action"] = "txn.sekisho_action",
    ["x-pdp-tenant"] = "txn.sekisho_tenant",
    ["x-pdp-organisation"] = "txn.sekisho_organisation",
    ["x-pdp-subject"] = "txn.sekisho_subject",
    ["x-pdp-device"] = "txn.sekisho_device",
    ["x-pdp-certificate-sha256"] = "txn.sekisho_certificate",
    ["x-pdp-source-ip"] = "txn.sekisho_source",
    ["x-pdp-tunnel"] = "txn.sekisho_tunnel",
    ["x-pdp-underlay"] = "txn.sekisho_underlay",
    ["x-pdp-country"] = "txn.sekisho_country",
    ["x-pdp-path-encrypted"] = "txn.sekisho_path_encrypted",
    ["x-pdp-pep"] = "txn.sekisho_pep",
    ["x-pdp-strict-path"] = "txn.sekisho_strict_path",
    ["x-request-id"] = "txn.sekisho_request_id",
}

-- What the application may rely on: the variables that the configuration writes into headers.
local ANSWERS = {
    ["x-pdp-decision-id"] = "txn.sekisho_decision_id",
    ["x-pdp-user"] = "txn.sekisho_user",
    ["x-pdp-outcome"] = "txn.sekisho_outcome",
    ["x-pdp-reasons"] = "txn.sekisho_reasons",
    ["x-pdp-obligations"] = "txn.sekisho_obligations",
    ["x-pdp-expires-at"] = "txn.sekisho_expires_at",
}

local FOR_THE_CLIENT = {
    "location", "www-authenticate", "dpop-nonce", "retry-after", "content-type", "content-language", "content-security-policy",
    "x-content-type-options", "referrer-policy", "cache-control", "vary", "x-pdp-decision-id",
}

local function values(list)
    local all, at = {}, 0
    while list ~= nil and list[at] ~= nil do -- HAProxy counts the values of a header from 0
        all[#all + 1] = list[at]
        at = at + 1
    end
    return all
end

local function question(txn)
    local sent = txn.http:req_get_headers()
    local headers = {
        ["x-pdp-key"] = { key },
        ["x-original-method"] = { txn.sf:method() },
        ["x-original-uri"] = { txn.sf:pathq() },
        ["x-original-host"] = values(sent["host"]),
    }
    for _, name in ipairs(OF_THE_CLIENT) do
        local said = values(sent[name])
        if #said > 0 then
            headers[name] = said
        end
    end
    for name, variable in pairs(FACTS) do
        local value = txn:get_var(variable)
        if value ~= nil and value ~= "" then
            headers[name] = { tostring(value) }
        end
    end
    return headers
end

local function refuse(txn, answer)
    local headers = {}
    for _, name in ipairs(FOR_THE_CLIENT) do
        local said = values(answer.headers[name])
        if #said > 0 then
            headers[name] = said
        end
    end
    txn:done(txn:reply({ status = answer.status, headers = headers, body = answer.body }))
end

core.register_action("sekisho", { "http-req" }, function(txn)
    local answer = core.httpclient():get({
        url = url .. "/authz/forward/haproxy",
        headers = question(txn),
        timeout = DEADLINE_MS,
    })
    if answer == nil or answer.headers == nil then
        return
    end
    if answer.status == 200 then
        for name, variable in pairs(ANSWERS) do
            local said = values(answer.headers[name])
            if #said ~= 1 then
                return -- not an answer of Sekisho: its own always has each of them once
            end
            txn:set_var(variable, said[1])
        end
        txn:set_var("txn.sekisho_allowed", true)
    elseif answer.status >= 300 and answer.status < 500 then
        refuse(txn, answer)
    end
end, 0)
