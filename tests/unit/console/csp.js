// What Google's csp_evaluator says of the policies on stdin (a JSON list): [[severity, directive, description], …] of each.
const [, , dist] = process.argv;
const { CspEvaluator } = require(`${dist}/evaluator.js`);
const { CspParser } = require(`${dist}/parser.js`);
const { Version } = require(`${dist}/csp.js`);
const policies = JSON.parse(require("fs").readFileSync(0, "utf8"));
const of = (policy) => new CspEvaluator(new CspParser(policy).csp, Version.CSP3).evaluate();
console.log(JSON.stringify(policies.map((policy) => of(policy).map((f) => [f.severity, f.directive, f.description]))));
