/**
 * What `fanout hash` needs of the jobs, in one module that is loaded only by it.
 */
export * as Hash from "@fanout/ops/Hash"
export * as HashCheck from "@fanout/ops/HashCheck"
export * as HashCheckLine from "@fanout/ops/HashCheckLine"
export * as HashLine from "@fanout/ops/HashLine"
export * as SourceRows from "@fanout/ops/SourceRows"
export * as SystemFiles from "@fanout/ops/SystemFiles"
export * as OutputFile from "./OutputFile.ts"
