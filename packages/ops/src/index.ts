/**
 * @since 0.1.0
 */
export * as FilePath from "./FilePath.ts"
