/**
 * What `fanout hash` needs of the jobs, in one module that is loaded only by it.
 */
export * as Hash from "@fanout/ops/Hash"
export * as HashLines from "@fanout/ops/HashLines"
export * as NodeFiles from "@fanout/ops/NodeFiles"
