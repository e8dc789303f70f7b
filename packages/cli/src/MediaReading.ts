/**
 * What `fanout metadata` needs of the jobs, in one module that is loaded only by it.
 */
export * as Media from "@fanout/ops/Media"
export * as SourceRows from "@fanout/ops/SourceRows"
export * as SystemFiles from "@fanout/ops/SystemFiles"
export * as OutputFile from "./OutputFile.ts"
export * as mediaText from "./ui/mediaText.ts"
