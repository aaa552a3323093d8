// A brush that is set, and not drawn by hand, has a colour that ECharts has no option for: an opaque grey.
import tokens from "echarts/lib/visual/tokens.js";

tokens.color.borderTint = "rgba(60, 140, 230, 0.28)";
tokens.color.backgroundTint = "rgba(60, 140, 230, 0.9)";
