/**
 * What `fanout verify` needs of the jobs, in one module that is loaded only by it.
 */
export * as SystemFiles from "@fanout/ops/SystemFiles"
export * as Verify from "@fanout/ops/Verify"
export * as VerifyRows from "@fanout/ops/VerifyRows"
export * as OrderedOutput from "./OrderedOutput.ts"
